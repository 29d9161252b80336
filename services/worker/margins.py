"""What comes on top of a job's own limits; the settings need it, and are to be read quickly."""

from datetime import timedelta

from shared.failures import MAX_ATTEMPTS

# After a job was ended early, what is paid for is fetched for so long per attempt.
KEEP_SECONDS = 20.0
# What a clean-up may take beyond its bound, the fetching of what it keeps included.
DRAIN_MARGIN = timedelta(seconds=30 + 2 * MAX_ATTEMPTS * KEEP_SECONDS)
