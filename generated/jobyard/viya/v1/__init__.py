"""Generated from the protos of jobyard.viya.v1; do not edit."""
