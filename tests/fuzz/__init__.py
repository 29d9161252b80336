"""Made-up input; FUZZ_BODIES=20000 and FUZZ_EXAMPLES=1000 send more of it than the gate does."""
