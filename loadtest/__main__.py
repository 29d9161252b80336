"""`python -m loadtest`: the command line and nothing else."""

from loadtest.cli import app

app(prog_name="python -m loadtest")
