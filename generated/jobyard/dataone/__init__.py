"""Generated from the protos of jobyard.dataone; do not edit."""
