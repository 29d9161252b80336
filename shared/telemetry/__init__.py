"""Logs and the SDK's metrics."""
