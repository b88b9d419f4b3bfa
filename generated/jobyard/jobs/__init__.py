"""Generated from the protos of jobyard.jobs; do not edit."""
