"""Attacks on rarefed, by who makes them: each succeeded once, and none may again."""
