"""The folder of one run: it grows under a provisional name and takes its final one when everything in it is whole."""

import contextlib
import json
import shutil
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from common.errors import RunError
from common.models.tail_layout import TailLayout
from common.plan.groups import FederationPlan
from common.plan.training_plan import TrainingPlan
from common.summary.summary_file import SUMMARY_NAME
from common.system.files import (
    Relinking,
    drop_torn_line,
    publish_folder,
    try_lock,
    write_bytes_atomically,
    write_json_atomically,
    write_text_atomically,
)
from server.rounds.checkpoints import Checkpoints
from server.runs.run_naming import LATEST, ROUND_CHECKPOINTS, unfinished


class RunFolder:
    """A run's files; `latest` beside the folder points to the last run that was finished.

    While the run goes on, the folder's name ends in ".unfinished". Use as a context manager: leaving it normally gives
    the folder its final name; an error leaves it unfinished, to be resumed. One process at a time writes to a folder.

    Parameters
    ----------
    final : Path
        The folder's name once the run is finished, as `reserve_run` returns it.

    Attributes
    ----------
    final : Path
        As given.
    path : Path
        Present folder of the files.

    Raises
    ------
    RunError
        If another process writes to the folder.
    """

    def __init__(self, final: Path) -> None:
        self.final = final
        self.path = unfinished(final)
        self._log: IO[str] = (self.path / "run.log").open("a", buffering=1, encoding="utf-8")
        if not try_lock(self._log):
            raise RunError(f"{self.path} is being written by another run: wait for its end, or stop it")
        drop_torn_line(self.path / "run.log")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        latest = self._prepare_link() if error_type is None else None
        with contextlib.suppress(OSError):
            self._log.close()
        if error_type is None:
            self.path = publish_folder(self.path, self.final)
            if latest:
                latest.finish()

    @property
    def is_whole(self) -> bool:
        """Whether everything is in the folder, which has its summary last, and only its final name is missing."""
        return (self.path / SUMMARY_NAME).is_file()

    def _prepare_link(self) -> Relinking | None:
        """Make ready what `latest` will be; where it cannot be a link, say so: the run is whole without it."""
        link = self.final.with_name(LATEST)
        try:
            return Relinking(link, self.final.name)
        except OSError as error:
            self.log(f"{link} was not moved to this run ({error.strerror}): remove it, or look for runs by their time")
        return None

    def log(self, line: str) -> None:
        """Add a line to `run.log`; on a full disk the line is lost and the run goes on."""
        with contextlib.suppress(OSError):
            self._log.write(line + "\n")

    def write_plan(self, plan: TrainingPlan) -> None:
        """Write `plan.json` with its digest."""
        write_json_atomically(self.path / "plan.json", {"digest": plan.digest, "plan": plan.model_dump()})

    def append_round(self, entry: dict[str, Any]) -> None:
        """Add one line to `rounds.jsonl`."""
        with (self.path / "rounds.jsonl").open("a") as stream:
            stream.write(json.dumps(entry, allow_nan=False) + "\n")

    def clear_rounds(self) -> None:
        """Empty `rounds.jsonl`: a resumed federation reports its earlier rounds again."""
        write_text_atomically(self.path / "rounds.jsonl", "")

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file of the run."""
        write_json_atomically(self.path / name, value)

    def checkpoints(self, training: str, identity: str, federation: FederationPlan) -> Checkpoints:
        """Return the round checkpoints of one training; `identity` is what must be equal for it to be resumed."""
        return Checkpoints(self.round_checkpoints(training), identity, federation.keep_checkpoints)

    def round_checkpoints(self, training: str) -> Path:
        """Return the folder of the round checkpoints of one training."""
        return self.path / ROUND_CHECKPOINTS / training

    def forget_rounds(self, training: str) -> None:
        """Remove the round checkpoints of a training whose outcome is safe."""
        shutil.rmtree(self.round_checkpoints(training), ignore_errors=True)

    def write_tail(self, name: str, tail: NDArray[np.float32], layout: TailLayout, metadata: dict[str, str]) -> None:
        """Write a tail as `checkpoints/<name>.safetensors`, with named tensors."""
        folder = self.path / "checkpoints"
        folder.mkdir(exist_ok=True)
        tensors = {key: np.ascontiguousarray(value) for key, value in layout.tensors(tail).items()}
        write_bytes_atomically(folder / f"{name}.safetensors", save(tensors, metadata))
