"""The training plan: everything that is fixed for a run, checked once, with a digest."""
