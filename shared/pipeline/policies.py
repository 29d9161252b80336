"""Retries and time-outs of the worker as named constants, each with its reason."""

from datetime import timedelta

from temporalio.common import RetryPolicy

from shared.errors import VendorError
from shared.failures import MAX_ATTEMPTS, Counted

# Delivery problems (a refused connection, a full vendor, a dead worker) use up no attempt. They are
# retried without end, because the job's own timer ends them. The first retry comes quickly, because
# it is also the take-over after a worker's death.
RETRY_POLICY = RetryPolicy(
    initial_interval=timedelta(milliseconds=50),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=10),
    maximum_attempts=0,
)

# The failures that use up a generation attempt; every other one ends the job or is retried above.
ATTEMPT_CODES = frozenset(
    kind.code for kind in VendorError.__subclasses__() if kind.rule.counted is Counted.ATTEMPT
)

# The pause before a new generation attempt: n seconds times the number of failures.
ATTEMPT_BACKOFF = timedelta(seconds=1)

# The SDK holds heartbeats back for up to 60 s by default, and their content with them. The pace
# decides how often there is one.
HEARTBEAT_THROTTLE = timedelta(milliseconds=500)
# Writing a small file or sending one signal; a slow disk gets another try.
LOCAL_TIMEOUT = timedelta(seconds=5)
# A hanging bucket counts as away after this; a later version catches up.
RECORD_SECONDS = 3.0
LOCAL_RETRY_POLICY = RetryPolicy(initial_interval=timedelta(milliseconds=50), maximum_attempts=5)
# Retried without end, because without the request the job would wait for ever.
REQUEST_RETRY_POLICY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(seconds=5)
)

# One submit: a look-up for as long as a submit may be on its way, the fence, the submit.
SUBMIT_TIMEOUT = timedelta(hours=1)

# A generation past its deadline is polled this many times less often.
LATE_PACE = 5
# Past its deadline a polled generation is stopped when its percent has not risen during this share
# of the deadline. One that makes progress is left running, because a new one would be as slow.
STILL_SHARE = 1 / 3
# The interval of look-ups while a submit may be on its way.
LOOK_SECONDS = 0.5
# A vendor that is away is waited for; the record says so once, after this many tries, or seconds of
# failing polls.
WAITING_TRIES = 6
WAITING_SECONDS = 3.0
# A bad file is fetched again this often before a new generation is paid for.
FETCH_TRIES = 3
FETCH_PAUSE_SECONDS = 0.3
# A host that answers without the file is asked for this long; then the file counts as bad.
FETCH_PATIENCE_SECONDS = 60.0
FETCH_PAUSE_MAX_SECONDS = 5.0
# All tries of fetching and checking one file, because a slow host must not hold the slot. The
# largest file comes at 2 MB/s in that time.
FETCH_SECONDS = 300.0
# What an activity may take beyond the deadline of its generation: the transfer and the check.
TRANSFER_TIMEOUT = timedelta(seconds=FETCH_SECONDS + 60)
# After a callback the result is fetched in the very task that the callback woke; what takes longer,
# or fails, is left to an activity. Below the time-out of a workflow task.
AT_ONCE_SECONDS = 1.0
# Without a write for this long a try counts as dead; a live one keeps writing.
ABANDONED_SECONDS = 1.0

# Percent travels as a signal at most this often, and in steps of the stage's points, because each
# costs six events; an undisturbed job of two stages has 32 without.
REPORT_SECONDS = 2.0

# A polled vendor is asked again when its percent predicts the end, and at the latest after a tenth
# of the time waited so far.
POLL_SHARE = 0.1
POLL_MIN_SECONDS = 0.01
POLL_MAX_SECONDS = 2.0


# After a job was ended early, paid results are fetched for this long per attempt.
KEEP_SECONDS = 20.0
# What a clean-up may take beyond its bound, for a stage and beside them.
KEEP_MARGIN = timedelta(seconds=MAX_ATTEMPTS * KEEP_SECONDS)
DRAIN_MARGIN = timedelta(seconds=30)
