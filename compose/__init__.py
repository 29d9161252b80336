"""Start, stop and gate the project; no service imports anything from here."""
