"""A hospital's images as labelled records: listed, checked, grouped by patient, and split."""
