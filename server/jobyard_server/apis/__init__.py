"""The APIs, one folder each: a service, its mapping between messages and domain, its deliveries."""
