"""One verb a file: what callers may ask for, written against ports."""
