"""What is kept of a result: all that makes the picture, and nothing that tells of its making."""
