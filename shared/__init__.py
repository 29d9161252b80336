"""Code that every service may use; nothing in here imports a service."""
