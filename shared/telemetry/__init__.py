"""Logs, traces and the SDK's metrics."""
