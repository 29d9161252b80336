"""Kling's own API (documented, never captured)."""
