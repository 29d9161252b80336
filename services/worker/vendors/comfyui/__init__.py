"""A stock ComfyUI by its native API: a graph of the user's is filled in and queued."""
