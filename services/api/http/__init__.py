"""The API's own HTTP: routes, sockets, streams, and who may call them."""
