"""The callback receiver: takes the video vendor's callbacks, stores receipts, and signals jobs."""
