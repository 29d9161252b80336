"""`python -m services.keeper`: polls the keeper' task queue until it is told to stop."""

from services.keeper.settings import KeeperProcessSettings
from services.keeper.worker import running_keeper
from shared import logs, settings
from shared.health import worker_app
from shared.web import server


def main() -> None:
    config = settings.load(KeeperProcessSettings)
    logs.configure(service="keeper", level=config.log_level, form=config.log_format)
    app = worker_app(
        "genvideo keeper",
        stall_seconds=config.stall_seconds,
        body=lambda client: running_keeper(client, shutdown_seconds=config.shutdown_seconds),
    )
    server(app, config.listen_host, port=config.keeper_http_port).run()


if __name__ == "__main__":
    main()
