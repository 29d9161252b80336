"""What can be known for nothing before a job is submitted: of the vendors, and the ways there."""
