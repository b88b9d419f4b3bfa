"""Generated from the protos of jobyard.rest.v1; do not edit."""
