"""Records that no workflow is left, or able, to write."""
