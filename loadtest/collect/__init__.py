"""What is read of the stack during and after a run, and noted as raw records; nothing is judged."""
