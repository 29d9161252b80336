"""The receiver's books: each callback's fate, on disk or in a store."""
