"""Callbacks: how they are sent, and how faults change them."""
