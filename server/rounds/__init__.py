"""The rounds of a federation: asking hospitals, checking replies, aggregating, keeping checkpoints."""
