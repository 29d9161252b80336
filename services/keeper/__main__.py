"""`python -m services.keeper`: polls the keeper' task queue until it is told to stop."""

from services.keeper.settings import KeeperProcessSettings
from services.keeper.worker import running_keeper
from shared import logs, settings
from shared.health import run_worker


def main() -> None:
    config = settings.load(KeeperProcessSettings)
    logs.configure(service="keeper", level=config.log_level, form=config.log_format)
    run_worker(
        "genvideo keeper",
        lambda client: running_keeper(
            client, rules=config.rules(), shutdown_seconds=config.shutdown_seconds
        ),
        keys=config.payload_keys,
        stack=config.stack,
        host=config.listen_host,
        port=config.keeper_http_port,
        stall_seconds=config.stall_seconds,
    )


if __name__ == "__main__":
    main()
