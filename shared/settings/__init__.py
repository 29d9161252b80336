"""Settings that several services share."""
