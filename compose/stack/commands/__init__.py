"""What the make targets do, a family of them in each file."""
