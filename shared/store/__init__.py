"""The store of records, results and receipts: a folder of this machine, or an object store."""
