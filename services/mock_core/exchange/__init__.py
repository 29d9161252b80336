"""The exchanges of the vendors' own routes, with the faults around them."""
