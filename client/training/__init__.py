"""A hospital's part of a round, on its own images."""
