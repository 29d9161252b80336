"""The books of a run, read from its raw records; reading never changes or repairs anything."""
