"""`rarefed-server`: the coordinator's commands."""
