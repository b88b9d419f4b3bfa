"""Brokers to which CloudEvents are published; each is an extra of its own."""
