"""What jobs, semaphore and API tell each other about the slot."""
