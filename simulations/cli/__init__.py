"""`rarefed-sim`: the researcher's commands."""
