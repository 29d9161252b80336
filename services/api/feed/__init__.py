"""The sources of changes, and their listeners."""
