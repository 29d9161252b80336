"""The small contract of our own, which both services speak by default."""
