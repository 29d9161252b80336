"""How Temporal is reached, and what it is told and tells."""
