"""The vendors' side as the worker sees it: two clients and one table of failures."""
