"""The user's folders: cache and pretrained weights."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Return the folder of what can be computed again: `$RAREFED_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("RAREFED_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("rarefed")


def weights_folder() -> Path:
    """Return the folder of staged weights: `$RAREFED_WEIGHTS`, else the user's data folder."""
    chosen = os.environ.get("RAREFED_WEIGHTS")
    return Path(chosen) if chosen else platformdirs.user_data_path("rarefed") / "weights"
