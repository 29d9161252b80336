"""What every service of ours may use; nothing in here imports a service."""
