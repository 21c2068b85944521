"""The server's processes: what runs, in which order, and whether it is well."""
