"""Intervals, paired tests and calibration, with patients as independent units."""
