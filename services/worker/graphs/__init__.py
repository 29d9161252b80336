"""ComfyUI workflows: read from a file, bound, filled in. The code is pure, so settings may import
it."""
