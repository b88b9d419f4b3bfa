"""Generated from the protos of jobyard.qinling; do not edit."""
