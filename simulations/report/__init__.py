"""What a reader sees of a run: page, figures, tables, terminal."""
