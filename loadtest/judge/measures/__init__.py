"""What is measured in the books, before anything is judged."""
