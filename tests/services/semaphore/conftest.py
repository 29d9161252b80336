"""Stand-in jobs, as for the library's tests."""

from tests.shared.semaphore.conftest import jobs

__all__ = ["jobs"]
