"""Runs at both ends and travels with the agent: standard library and pathspec, Python 3.9."""
