"""From books to numbers and findings: pure functions, no clock and no network."""
