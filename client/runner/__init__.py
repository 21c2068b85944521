"""Answers the server's messages: asks the rules, has the work done, guards what leaves, writes the audit log."""
