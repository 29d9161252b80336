"""The worker's vendors: a folder for each native API, and the small contract."""
