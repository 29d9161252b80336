"""Queue, history and event sockets behind the native wire; knows no route."""
