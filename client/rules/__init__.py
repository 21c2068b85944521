"""What this hospital allows, what leaves it, and the log of both."""
