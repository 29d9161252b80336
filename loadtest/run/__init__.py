"""A run: its plan, the jobs submitted stage after stage, the faults armed meanwhile."""
