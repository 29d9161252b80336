"""Is there a Docker engine with Compose? Asked once, and never waited for for long."""

from functools import cache

from compose.stack.subprocesses import capture

PATIENCE = 8.0
# `depends_on.required` came with Compose 2.20, the start interval of health checks with engine 25.
OLDEST_COMPOSE = (2, 20)
OLDEST_ENGINE = (25, 0)


def numbers(version: str) -> tuple[int, int]:
    """The first two numbers of a version such as `26.1.5+dfsg1` or `v2.26.1-4`."""
    major, minor = (*version.split("."), "0")[:2]
    return _number(major), _number(minor)


def _number(part: str) -> int:
    return int("".join(filter(str.isdigit, part.split("+")[0])) or 0)


@cache
def engine_version() -> str | None:
    """The version of the engine that answers, or None."""
    answer = capture(["docker", "version", "--format", "{{.Server.Version}}"], timeout=PATIENCE)
    return answer.out.strip() or None if answer.good else None


@cache
def compose() -> tuple[tuple[str, ...], str] | None:
    """How Compose is called and its version, or None where there is none."""
    for command in (("docker", "compose"), ("docker-compose",)):
        answer = capture([*command, "version", "--short"], timeout=PATIENCE)
        if answer.good and numbers(answer.out.strip()) >= OLDEST_COMPOSE:
            return command, answer.out.strip()
    return None


def missing() -> str | None:
    """Why containers can't be used here, or None where they can."""
    version = engine_version()
    if version is None:
        return "no Docker engine answers"
    if numbers(version) < OLDEST_ENGINE:
        return f"the Docker engine is {version}, {OLDEST_ENGINE[0]} or newer is needed"
    if compose() is None:
        return f"Docker Compose {OLDEST_COMPOSE[0]}.{OLDEST_COMPOSE[1]} or newer is missing"
    return None
