"""A real federation on one machine: the production processes of a server and its hospitals."""
