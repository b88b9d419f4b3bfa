"""Generated from the protos of jobyard.viya; do not edit."""
