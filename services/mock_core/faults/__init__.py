"""The fault plan: rules that say what happens to which job, at which point, how often and until
when."""
