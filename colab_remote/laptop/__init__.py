"""Runs on the laptop."""
