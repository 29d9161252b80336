"""Time, lengths of time and seeded random numbers; knows nothing of a mock."""
