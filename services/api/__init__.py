"""The API: submits jobs, shows them live, and does nothing else."""
