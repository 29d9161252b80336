"""The sections of the report; `loadtest.report.write` has their order."""
