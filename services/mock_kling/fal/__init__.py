"""The queue of fal, which sells the same videos (documented, not captured); all below `/fal`."""
