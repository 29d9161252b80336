"""The only modules that speak to the stack: HTTP, WebSocket and Temporal."""
