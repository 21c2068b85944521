"""The daemon: keeps the processes of a hospital running and says how they are."""
