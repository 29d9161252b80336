"""What a semaphore without a memory finds in Temporal, and makes of it."""
