"""Generated from the protos of jobyard; do not edit."""
