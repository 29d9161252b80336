"""Messages between services about a job."""
