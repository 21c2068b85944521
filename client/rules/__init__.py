"""What this hospital allows, what may leave it, and the log of both."""
