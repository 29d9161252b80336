"""What serves HTTP, and what asks by it."""
