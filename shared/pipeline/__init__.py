"""The engine: jobs of stages, each paid for once, one job at a time; it knows no stage by name."""
