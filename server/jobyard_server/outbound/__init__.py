"""The HTTP client for deliveries: address policy, signing and circuits."""
