"""Generated from the protos of jobyard.dataone.v1; do not edit."""
