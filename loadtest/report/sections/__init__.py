"""One module per section of the report; `loadtest.report.write` has their order."""
