"""Generated from the protos of jobyard.qinling.v1; do not edit."""
