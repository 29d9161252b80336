"""`python -m loadtest`: the command line and nothing else."""

from loadtest.cli import app
from shared.leaving import run_and_leave

run_and_leave(lambda: app(prog_name="python -m loadtest"))
