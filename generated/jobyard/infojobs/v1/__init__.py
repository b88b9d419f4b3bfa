"""Generated from the protos of jobyard.infojobs.v1; do not edit."""
