"""The one error of the stack script; it always carries the exit status to end with."""

VERDICT = 1
USAGE = 2
UNREACHABLE = 3
INTERRUPTED = 130


class StackError(Exception):
    """One clear line for the user, and the status that the command ends with."""

    def __init__(self, message: str, status: int = USAGE) -> None:
        super().__init__(message)
        self.status = status
