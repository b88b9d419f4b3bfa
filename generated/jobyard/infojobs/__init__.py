"""Generated from the protos of jobyard.infojobs; do not edit."""
