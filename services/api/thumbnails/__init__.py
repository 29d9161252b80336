"""Small pictures of stored ones, made by a process that can do nothing else."""
