"""Benchmarks: run by hand as `python -m tools.bench.<name>`; they judge nothing."""
