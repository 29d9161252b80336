"""Keep the last log lines about jobs for the dashboard; bounded and redacted."""

from collections import deque

from pydantic import BaseModel, ConfigDict
from structlog.types import EventDict, WrappedLogger

from shared.jobs.ids import is_job_id
from shared.redact import redacted

# For all jobs of one process; each line has a bounded length.
MOST = 2000
# Fields that are shown elsewhere, or not needed.
SAID = {"timestamp", "level", "service", "event", "job_id", "logger", "exception"}


class JobLine(BaseModel):
    """A log line; `at` as in the log. It is shown, and stored nowhere."""

    model_config = ConfigDict(frozen=True)

    at: str
    level: str
    service: str
    text: str


class JobLines:
    """The last processor of the log's chain, so a line is kept as it is written."""

    def __init__(self, most: int = MOST) -> None:
        self._lines: deque[tuple[str, JobLine]] = deque(maxlen=most)

    def __call__(self, _logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        """Keep a line that names its job, and pass it on."""
        job_id = line.get("job_id")
        if isinstance(job_id, str) and is_job_id(job_id):
            self._lines.append((job_id, _short(line)))
        return line

    def of(self, job_id: str) -> list[JobLine]:
        """Return the lines of one job, oldest first; other threads may log meanwhile."""
        return [line for of, line in self._lines.copy() if of == job_id]


def _short(line: EventDict) -> JobLine:
    said = [str(line.get("event", ""))]
    said += [f"{name}={line[name]}" for name in line if name not in SAID]
    if thrown := str(line.get("exception", "")).splitlines():
        said.append(thrown[-1])
    return JobLine(
        at=str(line.get("timestamp", "")),
        level=str(line.get("level", "")),
        service=str(line.get("service", "")),
        text=redacted(" ".join(said)),
    )


LINES = JobLines()
