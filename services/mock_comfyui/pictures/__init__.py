"""Draws the pictures that stand for generated ones."""
