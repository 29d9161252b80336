"""fal's queue (documented, never captured): one wire before many models of many makers."""
