"""What was accepted and what it cost, with the files; without faults and HTTP."""
