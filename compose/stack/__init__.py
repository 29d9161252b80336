"""The stack script behind the Makefile."""
