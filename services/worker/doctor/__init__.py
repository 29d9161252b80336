"""Free checks before a job is submitted: of the vendors, and of the addresses between them."""
