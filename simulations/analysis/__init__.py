"""From trained models' predictions to the numbers of `summary.json`."""
