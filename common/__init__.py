"""What every side of rarefed needs; imports none of the others."""
