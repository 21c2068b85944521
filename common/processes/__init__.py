"""Child processes that are kept running, logged, and never left behind."""
