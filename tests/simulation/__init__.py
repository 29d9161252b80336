"""The real workflow classes under a simulated server, in virtual time: every history has a seed."""
