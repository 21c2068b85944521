"""Child processes: kept running, logged, and ended with their parent."""
