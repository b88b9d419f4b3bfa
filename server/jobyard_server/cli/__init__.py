"""The jobyard command: a thin client of the gRPC API, and the way to start servers and workers."""
