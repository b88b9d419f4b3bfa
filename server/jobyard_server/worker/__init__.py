"""The worker: a client of the gRPC API that turns any program into one that runs jobs."""
