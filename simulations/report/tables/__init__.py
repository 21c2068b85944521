"""The report's tables of text."""
