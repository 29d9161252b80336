"""What the receiver is asked over HTTP, and how it answers."""
