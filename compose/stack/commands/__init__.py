"""The make targets, a group of them in each file."""
