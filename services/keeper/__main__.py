"""`python -m services.keeper`: polls the keeper' task queue until it is told to stop."""

from services.keeper.settings import KeeperProcessSettings
from shared.settings import load_or_check


def main() -> None:
    config = load_or_check(KeeperProcessSettings)
    # Not before: `make up` has the settings of every service checked, which is to be quick.
    from services.keeper.worker import running_keeper
    from shared import logs
    from shared.health import run_worker

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
