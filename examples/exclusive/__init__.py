"""Any workflow, one run at a time."""
