"""HTTP servers and clients, for services and mocks."""
