"""Replay histories with the current code."""
