"""Results: where they may be fetched from, whether they are what they claim, where they lie."""
