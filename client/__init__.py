"""Everything that runs inside a hospital."""
