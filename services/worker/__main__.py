"""`python -m services.worker`: polls the jobs' task queue until it is told to stop."""

from services.worker.settings import WorkerSettings
from services.worker.worker import running_worker
from shared import logs, settings
from shared.health import worker_app
from shared.web import server


def main() -> None:
    config = settings.load(WorkerSettings)
    logs.configure(service="worker", level=config.log_level, form=config.log_format)
    app = worker_app(
        "genvideo worker",
        stall_seconds=config.stall_seconds,
        body=lambda client: running_worker(config, client),
    )
    server(app, config.listen_host, port=config.worker_http_port).run()


if __name__ == "__main__":
    main()
