"""The pages that show jobs to people."""
