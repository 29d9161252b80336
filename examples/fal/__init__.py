"""fal's queue as a video vendor: VIDEO_API=examples.fal.vendor:FalVideos (README.md beside it)."""
