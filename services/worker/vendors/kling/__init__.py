"""Kling's own API (documented, never captured): both generations of it, and one relay's dialect."""
