"""Starts a private Flower per run, follows the run, and cleans up after it."""
