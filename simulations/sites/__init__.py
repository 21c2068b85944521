"""One data set dealt out to simulated hospitals."""
