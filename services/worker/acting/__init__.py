"""What activities do at semaphore, vendors and Temporal while they keep themselves alive."""
