"""What was set: read, checked, saved, and handed to each service."""
