"""`python -m loadtest`: the command line and nothing else."""

import signal
import sys

# Until the commands are there, an interrupt ends the process without a word.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from loadtest.cli import main  # noqa: E402
from shared.process_exit import run_and_exit  # noqa: E402
from shared.texts import replace_unprintable  # noqa: E402

signal.signal(signal.SIGINT, signal.default_int_handler)
replace_unprintable()
run_and_exit(lambda: sys.exit(main(sys.argv[1:])))
