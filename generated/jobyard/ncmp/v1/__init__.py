"""Generated from the protos of jobyard.ncmp.v1; do not edit."""
