"""One module per section of the report, in the report's order."""
