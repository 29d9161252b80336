"""Tests of the documentation: what a page says of the code must be so."""
