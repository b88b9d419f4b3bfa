"""The Jobyard server: one store and one engine behind six job APIs."""
