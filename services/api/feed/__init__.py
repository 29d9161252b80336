"""Where jobs are learnt from, and who is told of their changes."""
