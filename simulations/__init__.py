"""Hospitals on one machine, and the comparison of what federating is worth."""
