"""Settings of the worker: its own in one file, those of its vendors in another."""
