"""What the workflow is made of: from one history the same commands; no HTTP, clock or setting."""
