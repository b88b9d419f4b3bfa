"""Generated from the protos of jobyard.jobs.v1; do not edit."""
