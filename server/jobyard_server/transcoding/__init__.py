"""REST for any proto, from google.api.http and jobyard.rest.v1 options, over ASGI."""
