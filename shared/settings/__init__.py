"""What several services are told by the environment."""
