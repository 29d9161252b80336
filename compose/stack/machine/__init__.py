"""What this machine has: an engine, images, free ports, a virtual environment, a lock."""
