"""The texts in Chinese by the English ones, their keys: a file for each place that shows them."""

from pathlib import Path

PAGE = Path(__file__).with_name("page.json")
