"""A semaphore for Temporal: a permit lives exactly as long as its holder's run."""
