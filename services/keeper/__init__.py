"""Keeps the slot: the keeper workflow and its activities, in a process and queue of its own."""
