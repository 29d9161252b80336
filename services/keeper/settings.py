"""Settings of the keeper's process."""

from shared.settings import CommonSettings, Port, Seconds


class KeeperProcessSettings(CommonSettings):
    """Read from the environment."""

    keeper_http_port: Port = 9099
    stall_seconds: Seconds = 10
    shutdown_seconds: Seconds = 3
