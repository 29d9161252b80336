"""The same two steps by other engines, run by hand: `python -m tools.peers`."""
