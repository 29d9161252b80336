"""Whom a judgement accuses of what."""

from loadtest.judge.judge import Judgement


def named(judgement: Judgement, kind: str) -> list[str]:
    """The jobs of all findings of one kind, in their order."""
    return [finding.job_id for finding in judgement.findings if finding.kind == kind]
