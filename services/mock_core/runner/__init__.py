"""Runs what was accepted to its end; knows no HTTP."""
