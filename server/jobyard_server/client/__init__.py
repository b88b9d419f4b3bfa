"""What every client of the gRPC API needs: a channel to the server, and what its errors say."""
