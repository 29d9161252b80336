"""What activities do at the keeper, the vendors and Temporal while they keep themselves alive."""
