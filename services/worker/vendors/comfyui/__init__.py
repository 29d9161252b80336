"""A stock ComfyUI by its native API: a user's graph is filled in and queued."""
