"""Flower's side of the server: its control API, and the app that carries no code."""
