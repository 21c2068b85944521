"""Starts a Flower of its own for a run, follows it, and leaves nothing behind."""
