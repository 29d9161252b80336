"""Keeps the slot: the semaphore workflow and its activities, in a process and queue of its own."""
