"""Runs on the runtime, sent there by the laptop over SSH: serves one conversation, then ends."""
