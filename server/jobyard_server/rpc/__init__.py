"""The gRPC edge: server, interceptors, error mapping, reflection and health."""
