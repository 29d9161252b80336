"""Callbacks on their way: how they are sent, and what faults make of them."""
