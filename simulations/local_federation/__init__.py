"""A real federation on one machine: the production processes, with only the distance missing."""
