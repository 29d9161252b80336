"""Generated requests; FUZZ_EXAMPLES=1000 sends more of them than the gate does."""
