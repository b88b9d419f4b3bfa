"""The jobyard command."""
