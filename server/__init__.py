"""The central aggregation server; never touches an image."""
