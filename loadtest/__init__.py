"""The load test: a black-box judge of the pipeline that shares no code with it."""
