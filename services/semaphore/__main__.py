"""`python -m services.semaphore`: poll the semaphore's task queue until it is asked to stop."""

from services.semaphore.settings import SemaphoreProcessSettings
from shared.settings.common import load_to_start


def main() -> None:
    config = load_to_start(SemaphoreProcessSettings)
    # Imported here, so that a mistake in the settings is reported at once.
    from services.semaphore.worker import running_semaphore
    from shared.health import run_worker

    run_worker(
        "semaphore",
        lambda client: running_semaphore(
            client,
            rules=config.rules(),
            pipelines=config.known.values(),
            shutdown_seconds=config.shutdown_seconds,
        ),
        config,
        port=config.semaphore_http_port,
    )


if __name__ == "__main__":
    main()
