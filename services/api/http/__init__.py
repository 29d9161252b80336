"""The API's HTTP: routes, sockets, streams, and access control."""
