"""The stack script behind the Makefile; it needs nothing but the standard library."""
