"""Certificates and signed requests, as both sides read them."""
