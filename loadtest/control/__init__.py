"""The negative control: the same work by a build that is wrong on purpose, to be caught."""
