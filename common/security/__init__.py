"""Certificates, signed requests to join, and shared secrets."""
