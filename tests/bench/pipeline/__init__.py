"""Benchmarks of the slot: each figure beside the plain hop of the same run; they judge nothing."""
