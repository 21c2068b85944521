"""The folder of a run: what is written there, how it is read, and how a person follows it."""
