"""Finished runs that are set side by side."""

from dataclasses import dataclass
from pathlib import Path

from common.summary.summary import Summary
from simulations.analysis.predictions import Predictions


@dataclass(frozen=True)
class Runs:
    """Finished runs, by the letter that stands for each in the tables."""

    folders: dict[str, Path]
    summaries: dict[str, Summary]
    predictions: dict[str, dict[str, Predictions]]
