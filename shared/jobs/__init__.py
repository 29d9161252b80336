"""What services tell each other about a job."""
