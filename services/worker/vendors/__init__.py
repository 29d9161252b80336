"""The vendors as the worker sees them: one folder each, and one table of failures."""
