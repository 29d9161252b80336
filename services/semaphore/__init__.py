"""The semaphore's process: it runs workflow and activities on a separate task queue."""
