"""How much a result may be: beyond what a generous vendor delivers, and no more."""

from shared.jobs.states import Step

# An image of 8K has 33 million pixels, a video of 4K fewer than 9.5. A side of more than 16384 is
# nothing that a browser shows.
MAX_PIXELS = {Step.IMAGE: 40_000_000, Step.VIDEO: 4096 * 2304}
MAX_SIDE = 16_384
# Ten minutes, where 5 to 10 s are ordered, at 120 pictures a second; sound beside the picture.
MAX_SECONDS = 600
MAX_FRAMES = MAX_SECONDS * 120
MAX_STREAMS = 8
