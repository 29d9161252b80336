"""What was accepted and what it cost, files included; knows no fault and no HTTP."""
