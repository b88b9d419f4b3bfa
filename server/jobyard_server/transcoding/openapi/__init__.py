"""Prints OpenAPI 3.1 from the descriptors and options that the transcoder serves by; nothing is said twice."""
