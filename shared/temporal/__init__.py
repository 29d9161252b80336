"""The Temporal client: connection, names, encryption, namespace, errors."""
