"""The output, temp and input folders: names, numbers, and files that are being written."""
