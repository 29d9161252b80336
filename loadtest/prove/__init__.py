"""`make prove`: what its parts have left behind, judged as one, and the page that says so."""
