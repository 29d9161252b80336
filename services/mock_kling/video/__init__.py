"""From a picture to its video: fetched, checked, encoded; knows no route."""
