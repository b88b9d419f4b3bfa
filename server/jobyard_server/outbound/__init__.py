"""Calls to peers: which addresses are called, how calls are signed, and what comes back."""
