"""`python -m loadtest`: the command line and nothing else."""

from loadtest.cli import app
from shared.process_exit import run_and_exit
from shared.texts import forgive

forgive()
run_and_exit(lambda: app(prog_name="python -m loadtest"))
