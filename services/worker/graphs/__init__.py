"""Workflows of ComfyUI: read from a file, bound, filled in; pure, and known to the settings."""
