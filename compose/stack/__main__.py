"""Entry of `python -m compose.stack`; each way out has one of the documented exit statuses."""

import sys

from compose.stack.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
