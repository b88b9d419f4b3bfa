"""The nouns of the product and their rules, as frozen data and pure functions."""
