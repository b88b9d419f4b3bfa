"""Generated from the protos of jobyard.rest; do not edit."""
