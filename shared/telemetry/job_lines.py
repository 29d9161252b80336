"""The last log lines of this process that are about a job, for the page; bounded, and redacted."""

from collections import deque

from pydantic import BaseModel, ConfigDict
from structlog.types import EventDict, WrappedLogger

from shared.jobs.ids import is_job_id
from shared.redact import redacted

# Of one process, all jobs together; each line is of a bounded length.
MOST = 2000
# What a line says elsewhere, or what nobody asks for there.
SAID = {"timestamp", "level", "service", "event", "job_id", "logger", "exception"}


class JobLine(BaseModel):
    """One line; `at` as the log has it. It is shown, and stored nowhere."""

    model_config = ConfigDict(frozen=True)

    at: str
    level: str
    service: str
    text: str


class JobLines:
    """Filled by the log's own chain of processors, behind which a line is as it is written."""

    def __init__(self, most: int = MOST) -> None:
        self._lines: deque[tuple[str, JobLine]] = deque(maxlen=most)

    def __call__(self, _logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        """Keep a line that names its job; it goes on as it came."""
        job_id = line.get("job_id")
        if isinstance(job_id, str) and is_job_id(job_id):
            self._lines.append((job_id, _short(line)))
        return line

    def of(self, job_id: str) -> list[JobLine]:
        """Those of one job, the oldest first; other threads may log meanwhile."""
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
