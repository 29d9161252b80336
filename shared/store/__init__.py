"""Where records, results and receipts are kept: a folder of this machine, or an object store."""
