"""What a finished run says of itself: the records of `summary.json`."""
