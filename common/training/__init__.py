"""Training of a tail and prediction with it, in every arm and every hospital."""
