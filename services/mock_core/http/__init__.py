"""Requests and replies as such: problems, broken replies, the journal; knows no generation."""
