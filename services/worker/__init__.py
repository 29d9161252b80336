"""The worker: it runs GenVideoWorkflow and its activities; only it calls the vendors."""
