"""What a launcher tells the simulation's ServerApp beside the plan: keys of Flower's run config.

Both may be missing, as in a run that was started by `flwr run .`.
"""

GROUP = "launch"

RUN_FOLDER = "run_folder"
"""Absolute path: the final name of the run folder, which exists under its provisional name."""

WORKERS = "workers"
"""How many trainings Flower's pool of workers runs at the same time."""
