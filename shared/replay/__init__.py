"""Histories against the code as it is."""
