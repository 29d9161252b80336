"""Check results in a child process."""
