"""The two ways to run the stack, containers and processes, behind one protocol."""
