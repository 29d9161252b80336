"""What the API asks of Temporal: about jobs, and about the slot."""
