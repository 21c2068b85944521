"""Intervals, paired tests and calibration, on resamples of patients."""
