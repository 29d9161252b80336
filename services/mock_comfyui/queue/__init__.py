"""Queue, history and event sockets behind the native wire; without routes."""
