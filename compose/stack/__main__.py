"""Entry of `python -m compose.stack`; every way out has one of the exit statuses of `errors`."""

import sys

from compose.stack.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
