"""What a client asks to run: the graph, its validation, the task it becomes."""
