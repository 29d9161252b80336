"""Runs the jobs: GenVideoWorkflow and its activities; the only caller of the vendors."""
