"""The worker's vendors: one folder each, and one table of failures."""
