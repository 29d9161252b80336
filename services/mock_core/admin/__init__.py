"""The routes under `/admin`."""
