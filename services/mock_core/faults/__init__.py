"""The fault plan: rules that say which job, where in its life, what, how often and until when."""
