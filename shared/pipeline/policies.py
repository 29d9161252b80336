"""Retries and time-outs of the worker as named constants, each with its reason."""

from datetime import timedelta

from temporalio.common import RetryPolicy

from shared.errors import VendorError
from shared.failures import MAX_ATTEMPTS, Counted

# Delivery problems (a refused connection, a full vendor, a worker that died) use up no generation
# attempt; they are retried without end, for the job's own timer ends it. The first retry comes
# quickly since it is also the take-over after a worker's death.
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

# Pause before a new generation attempt: n seconds times the number of those that failed.
ATTEMPT_BACKOFF = timedelta(seconds=1)

# The SDK holds heartbeats back for up to 60 s by default; what one of them is to tell would come as
# late. How often there is one is the pace's.
HEARTBEAT_THROTTLE = timedelta(milliseconds=500)
# Writing a small file or sending one signal; a slow disk gets another try.
LOCAL_TIMEOUT = timedelta(seconds=5)
# A store elsewhere that hangs counts as away before that; a later version catches up.
RECORD_SECONDS = 3.0
LOCAL_RETRY_POLICY = RetryPolicy(initial_interval=timedelta(milliseconds=50), maximum_attempts=5)
# Asking for the slot must not be given up: without the request the job would wait for ever.
REQUEST_RETRY_POLICY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(seconds=5)
)

# One call to submit: a look-up for as long as a submit may be on its way, the fence, the submit.
SUBMIT_TIMEOUT = timedelta(hours=1)

# A generation past its deadline is asked for this many times less often.
LATE_PACE = 5
# Past its deadline one that is not called back is stopped when its percent has not risen during so
# much more work, as a share of the deadline. A slow one that makes progress would only be as slow
# again.
STILL_SHARE = 1 / 3
# A submit that may still be on its way to the vendor is looked for this often.
LOOK_SECONDS = 0.5
# A vendor that is away is waited for; the record says so once, after so many tries of an activity,
# or so many seconds of polls that fail.
WAITING_TRIES = 6
WAITING_SECONDS = 3.0
# A bad file is fetched again this often before a new generation is paid for.
FETCH_TRIES = 3
FETCH_PAUSE_SECONDS = 0.3
# A host that answers and doesn't give the file is asked for so long; then the file counts as bad.
FETCH_PATIENCE_SECONDS = 60.0
FETCH_PAUSE_MAX_SECONDS = 5.0
# All tries of fetching and checking one file: a host that drips must not hold the slot. The largest
# file that is taken comes at 2 MB/s in that time.
FETCH_SECONDS = 300.0
# What an activity may take beyond the deadline of its generation: the transfer and the check.
TRANSFER_TIMEOUT = timedelta(seconds=FETCH_SECONDS + 60)
# What a callback tells of is looked at and fetched in the very task that the callback woke; what
# takes longer, or fails, is left to an activity. Below the time-out of a workflow task.
AT_ONCE_SECONDS = 1.0
# Nobody has written for so long: a dead try is taken over no earlier, a live one writes on.
ABANDONED_SECONDS = 1.0

# Percent travels as a signal only this seldom, and in steps of the stage's points: each costs six
# events of history, and an undisturbed job of two stages has 32 without; a few for
# each stage keep it far below 80.
REPORT_SECONDS = 2.0

# A vendor that does not call back is asked again when its percent foretells the end, and at the
# latest after a tenth of the time waited so far.
POLL_SHARE = 0.1
POLL_MIN_SECONDS = 0.01
POLL_MAX_SECONDS = 2.0


# After a job was ended early, what is paid for is fetched for so long per attempt.
KEEP_SECONDS = 20.0
# What a clean-up may take beyond its bound, for a stage and beside them.
KEEP_MARGIN = timedelta(seconds=MAX_ATTEMPTS * KEEP_SECONDS)
DRAIN_MARGIN = timedelta(seconds=30)
