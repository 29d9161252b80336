"""Ids of jobs and of generations; ours are deterministic, so that a submit can be looked up."""

import hashlib
import re
import secrets
from typing import NamedTuple

from shared.pipeline.definition import STAGE_PATTERN

JOB_ID_PATTERN = r"^job-[0-9a-f]{24}$"
_EXTERNAL = re.compile(rf"^(job-[0-9a-f]{{24}})\.({STAGE_PATTERN})\.([1-9][0-9]?)$")
_JOB = re.compile(JOB_ID_PATTERN)


class Generation(NamedTuple):
    """One generation attempt: which job, which stage, which attempt (from 1)."""

    job_id: str
    step: str
    attempt: int


def new_job_id() -> str:
    """Return a new random job id, `job-` and 24 hex digits."""
    return f"job-{secrets.token_hex(12)}"


def job_id_for_key(idempotency_key: str) -> str:
    """Return the job id of an Idempotency-Key, the same on every API process."""
    return f"job-{hashlib.sha256(idempotency_key.encode()).hexdigest()[:24]}"


def is_job_id(text: str) -> bool:
    """True if `text` has the form of a job id; other texts never reach a path or a query."""
    return _JOB.fullmatch(text) is not None


def checked(job_id: str) -> str:
    """Return the id; raise ValueError for an invalid one (a path from outside)."""
    if not is_job_id(job_id):
        raise ValueError(f"not a job id: {job_id!r}")
    return job_id


def key_of_job(prefix: str, job_id: str) -> str:
    """Return a job's key in a store; raise ValueError for an invalid job id."""
    return f"{prefix}{checked(job_id)}.json"


def job_of_key(prefix: str, key: str) -> str | None:
    job_id = key.removeprefix(prefix).removesuffix(".json")
    return job_id if key == f"{prefix}{job_id}.json" and is_job_id(job_id) else None


def callbacks_prefix(job_id: str) -> str:
    """Return the prefix of a job's receipts in a store; raise ValueError for an invalid job id."""
    return f"callbacks/{checked(job_id)}/"


def assets_prefix(job_id: str) -> str:
    """Return the prefix of a job's results in a store; raise ValueError for an invalid job id."""
    return f"assets/{checked(job_id)}/"


def asset_url(public_url: str, job_id: str, step: str) -> str:
    return f"{public_url.rstrip('/')}/jobs/{job_id}/{step}"


def external_id(job_id: str, step: str, attempt: int) -> str:
    """Return our id of a generation, unique in the vendor's account: `{job_id}.video.2`."""
    return f"{job_id}.{step}.{attempt}"


def parse_external_id(text: str) -> Generation | None:
    """Return the generation of an external id, or None if it isn't ours."""
    found = _EXTERNAL.fullmatch(text)
    return Generation(found[1], found[2], int(found[3])) if found else None
