"""The make targets, a family of them in each file."""
