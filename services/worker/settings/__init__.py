"""Settings of the worker: its own, and those of each vendor in a file of their own."""
