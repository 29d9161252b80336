"""How the project is started, stopped and gated; nothing here is imported by a service."""
