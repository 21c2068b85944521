"""TensorBoard event files of a run: losses and metrics by round, over all hospitals and per hospital."""

import logging
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)


class RoundEvents:
    """Writes rounds as TensorBoard scalars; without TensorBoard it says so once and writes nothing.

    Parameters
    ----------
    folder : Path
        Folder of the event files; made if absent. Earlier files are removed at the first round: a resumed federation
        reports its earlier rounds again, and TensorBoard would show each of them twice.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None
        self._make_writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            _log.warning("no TensorBoard files are written: install rarefed[tensorboard]")
            return
        self._make_writer = SummaryWriter

    def add(self, entry: dict[str, Any]) -> None:
        """Add one entry of `rounds.jsonl`."""
        if self._make_writer is None:
            return
        if self._writer is None:
            for earlier in self._folder.glob("events.out.tfevents.*"):
                earlier.unlink(missing_ok=True)
            self._writer = self._make_writer(str(self._folder))
        for name, value in _scalars(entry).items():
            self._writer.add_scalar(name, value, entry["round"])
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()


def _scalars(entry: dict[str, Any]) -> dict[str, float]:
    """Return a round's values by TensorBoard's names, in which the part before the slash is a group of plots."""
    named = {"all/train_loss": entry.get("train_loss"), "all/seconds": entry.get("seconds")}
    # Metrics of the model that the round started from.
    named |= {f"start/{key}": value for key, value in entry.get("start", {}).items() if key != "train_loss"}
    for site, values in entry.get("sites", {}).items():
        named |= {f"{key}/{site}": value for key, value in values.items()}
    named["all/left_out"] = len(entry.get("left_out", {}))
    return {name: float(value) for name, value in named.items() if isinstance(value, int | float)}
