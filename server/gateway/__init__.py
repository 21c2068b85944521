"""The one door for hospitals: TLS in front of the SuperLink, and nothing through it but what a SuperNode needs.

The SuperLink's one port serves whoever steers the federation as well as the hospitals, without asking who it is; so it
listens on loopback, and hospitals reach `python -m server.gateway` (`deploy/` has the same rules for nginx and Caddy).
"""
