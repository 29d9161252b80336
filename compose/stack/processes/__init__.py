"""The processes of MODE=local: what supervisor is told, asked, and has left behind."""
