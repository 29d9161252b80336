"""`python -m tests.bench.pipeline`: the command line and nothing else."""

from shared.process_exit import run_and_exit
from tests.bench.pipeline.cli import app

run_and_exit(lambda: app(prog_name="python -m tests.bench.pipeline"))
