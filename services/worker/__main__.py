"""`python -m services.worker`: poll the jobs' task queue until the process is asked to stop."""

import asyncio

from services.worker.settings.worker import WorkerSettings
from shared.settings.common import load_to_start


def main() -> None:
    config = load_to_start(WorkerSettings)
    # Imported here, so that a mistake in the settings is reported at once.
    from services.worker.worker import running_worker
    from shared.files import folder_reason
    from shared.health import Check, run_worker
    from shared.store.chosen import chosen_store, store_reason

    store = chosen_store(config)

    checks: dict[str, Check] = {
        "disk": lambda: asyncio.to_thread(folder_reason, config.data_dir / "assets")
    }
    if config.elsewhere:
        checks["store"] = lambda: store_reason(store)
    run_worker(
        "worker",
        lambda client: running_worker(config, client),
        config,
        port=config.worker_http_port,
        checks=checks,
    )


if __name__ == "__main__":
    main()
