"""`python -m services.worker`: poll the jobs' task queue until the process is asked to stop."""

from services.worker.settings.worker import WorkerSettings
from shared.quick_start import quick_start
from shared.settings.common import load_to_start


def main() -> None:
    config = load_to_start(WorkerSettings)
    # Imported here, so that a mistake in the settings is reported at once.
    with quick_start():
        from services.worker.worker import running_worker
        from shared.health import run_worker
        from shared.pipeline.disk import Disk
        from shared.store.chosen import chosen_store, store_reason

    store = chosen_store(config)
    disk = Disk(config.data_dir, store)

    async def stored() -> str | None:
        return await store_reason(store)

    run_worker(
        "worker",
        lambda client: running_worker(config, client, disk=disk),
        config,
        port=config.worker_http_port,
        checks={"disk": disk.reason, **({"store": stored} if config.elsewhere else {})},
    )


if __name__ == "__main__":
    main()
