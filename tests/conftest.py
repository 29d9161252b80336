"""Registers the fixtures that several folders share."""

pytest_plugins = ["tests.fixtures.temporal"]
