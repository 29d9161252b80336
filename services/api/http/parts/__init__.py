"""What several of the API's routes are made of."""
