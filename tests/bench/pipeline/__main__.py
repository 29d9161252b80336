"""`python -m tests.bench.pipeline`: the command line and nothing else."""

from shared.leaving import run_and_leave
from tests.bench.pipeline.cli import app

run_and_leave(lambda: app(prog_name="python -m tests.bench.pipeline"))
