"""Made-up input in large numbers: run by hand as `python -m tests.fuzz.<name>`, few of it in CI."""
