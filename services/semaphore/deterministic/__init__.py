"""What the semaphore's workflow decides by: no HTTP, no clock, no setting."""
