"""Several hosts on one machine, by hand: HOSTS=1 python -m pytest -q tools/hosts."""
