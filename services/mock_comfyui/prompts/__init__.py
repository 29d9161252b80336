"""A client's request: the graph, its validation, the task it becomes."""
