"""The semaphore's process: its workflow and activities on a task queue of their own."""
