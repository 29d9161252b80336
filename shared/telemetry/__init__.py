"""What a process tells of itself: logs, traces, the SDK's numbers."""
