"""What can be done with jobs, one by one or many at once."""
