"""The vendor's own wire (documented, not captured)."""
