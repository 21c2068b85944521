"""Which figures a study gets, out of its summary and its predictions."""
