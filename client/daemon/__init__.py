"""The processes that answer a federation's messages, and the daemon that keeps them running."""
