"""The gateway: a TLS proxy in front of the SuperLink that forwards only the calls that a SuperNode needs.

The SuperLink serves operators and hospitals on one port and does not ask who calls. So it listens on loopback, and
hospitals connect to `python -m server.gateway` (`deploy/` has the same rules for nginx and Caddy).
"""
