"""Any workflow of one's own, one at a time."""
