"""Benchmarks: run by hand as `python -m tests.bench.<name>`; they judge nothing."""
