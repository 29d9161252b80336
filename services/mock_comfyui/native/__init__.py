"""The real server's own wire, as it was captured."""
