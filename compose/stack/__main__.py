"""`python -m compose.stack`: the command line and nothing else."""

import signal
import sys

# Until the commands are there, an interrupt ends the process without a word.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from compose.stack.cli import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
