"""A hospital's images as labelled records: listed, checked, with patients, classes and splits."""
