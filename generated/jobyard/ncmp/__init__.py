"""Generated from the protos of jobyard.ncmp; do not edit."""
