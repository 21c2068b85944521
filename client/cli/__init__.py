"""`rarefed-hospital`: the hospital IT's commands."""
