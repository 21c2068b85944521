"""The folder of one run: it grows under a provisional name and takes its final one when everything in it is whole."""

import contextlib
import itertools
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from common.errors import InputError, RunError
from common.models.tail_layout import TailLayout
from common.plan.groups import FederationPlan
from common.plan.training_plan import TrainingPlan
from common.system.files import try_lock, write_bytes_atomically, write_json_atomically, write_text_atomically
from server.rounds.checkpoints import Checkpoints

RUN_FOLDER_VARIABLE = "RAREFED_RUN_FOLDER"
"""Set by whoever starts a run and must know its folder before the run does: to follow it, to tidy up after Ctrl-C."""


_UNFINISHED = ".unfinished"
_ROUNDS = Path("checkpoints") / "rounds"

# How long whoever was killed a moment ago may still hold its folder.
_LOCK_SECONDS = 15


class RunFolder:
    """A run's files; `latest` beside the folder points to the last run that was finished.

    While the run goes on the folder's name ends in ".unfinished". Use as a context manager: leaving it normally
    publishes the folder; an error leaves the unfinished one, for diagnosis and to be continued. One process at a time
    writes to a folder.

    Parameters
    ----------
    final : Path
        The folder's name once the run is finished, from `reserve_run` or `continue_or_reserve`.

    Attributes
    ----------
    final : Path
        As given.
    path : Path
        Where the files are at this moment.

    Raises
    ------
    RunError
        If another process writes to the folder.
    """

    def __init__(self, final: Path) -> None:
        self.final = final
        self.path = unfinished(final)
        self._log: IO[str] = (self.path / "run.log").open("a", buffering=1)
        if not try_lock(self._log):
            raise RunError(f"{self.path} is being written by another run: wait for its end, or stop it")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._log.close()
        if error_type is None:
            self.path = self.path.rename(self.final)
            _point_latest(self.final)

    def log(self, line: str) -> None:
        """Add a line to `run.log`; a full disk costs the line, not the run."""
        with contextlib.suppress(OSError):
            self._log.write(line + "\n")

    def write_plan(self, plan: TrainingPlan) -> None:
        """Write `plan.json` with its digest."""
        write_json_atomically(self.path / "plan.json", {"digest": plan.digest, "plan": plan.model_dump()})

    def append_round(self, entry: dict[str, Any]) -> None:
        """Add one line to `rounds.jsonl`."""
        with (self.path / "rounds.jsonl").open("a") as stream:
            stream.write(json.dumps(entry, allow_nan=False) + "\n")

    def keep_rounds(self, units: set[str]) -> None:
        """Drop from `rounds.jsonl` what an interrupted run left of other trainings than these: they start anew."""
        path = self.path / "rounds.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
        kept = []
        for line in lines:
            with contextlib.suppress(ValueError):  # the last line may be torn
                if json.loads(line).get("unit") in units:
                    kept.append(line)
        write_text_atomically(path, "".join(kept))

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file of the run."""
        write_json_atomically(self.path / name, value)

    def checkpoints(self, training: str, identity: str, federation: FederationPlan) -> Checkpoints:
        """Return the round checkpoints of one training; `identity` is what must be equal for it to be continued."""
        folder = self.path / _ROUNDS / training
        return Checkpoints(folder, identity, federation.rounds, federation.keep_checkpoints)

    def personal_layers(self, training: str) -> Path:
        """Return where simulated hospitals keep their own layers of a training; they go with its checkpoints."""
        return self.path.absolute() / _ROUNDS / training / "layers"

    def forget_rounds(self, training: str) -> None:
        """Remove the round checkpoints of a training whose outcome is safe."""
        shutil.rmtree(self.path / _ROUNDS / training, ignore_errors=True)

    def write_tail(self, name: str, tail: NDArray[np.float32], layout: TailLayout, metadata: dict[str, str]) -> None:
        """Write a tail as `checkpoints/<name>.safetensors`, with named tensors."""
        folder = self.path / "checkpoints"
        folder.mkdir(exist_ok=True)
        tensors = {key: np.ascontiguousarray(value) for key, value in layout.tensors(tail).items()}
        write_bytes_atomically(folder / f"{name}.safetensors", save(tensors, metadata))


def continue_or_reserve(output: Path, name: str, plan: TrainingPlan) -> Path:
    """Return the final name of the latest interrupted run of this plan worth going on with, else of a new run."""
    deadline = time.monotonic() + _LOCK_SECONDS
    for folder in _unfinished_ones(output):
        if not worth_continuing(folder) or _digest_in(folder) != plan.digest:
            continue
        with contextlib.suppress(OSError), (folder / "run.log").open("a") as log:
            while not (free := try_lock(log)) and time.monotonic() < deadline:
                time.sleep(0.2)
            if free:
                return _final(folder)
    return reserve_run(output, name)


def finished_run(output: Path, plan: TrainingPlan) -> Path | None:
    """Return the latest finished run of this plan; None if there is none."""
    for folder in sorted(output.glob("*"), reverse=True):
        finished = folder.suffix != _UNFINISHED and not folder.is_symlink()
        if finished and (folder / "summary.json").is_file() and _digest_in(folder) == plan.digest:
            return folder
    return None


def interrupted_run(output: Path, name: str | None) -> Path:
    """Return the final name of an interrupted run by its folder's name, or of the latest.

    Raises
    ------
    InputError
        If there is none.
    """
    if name is not None:
        chosen = _final(output / Path(name).name)
        if not unfinished(chosen).is_dir():
            raise InputError(f"{unfinished(chosen)} does not exist: a run that was finished cannot be gone on with")
        return chosen
    for folder in _unfinished_ones(output):
        if (folder / "plan.json").is_file():
            return _final(folder)
    raise InputError(f"{output} holds no interrupted run: start one with `rarefed-server run`")


def read_plan(final: Path) -> TrainingPlan:
    """Return the plan of an unfinished run; raises `InputError` if it cannot be read."""
    path = unfinished(final) / "plan.json"
    try:
        return TrainingPlan.from_json(json.dumps(json.loads(path.read_bytes())["plan"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def worth_continuing(folder: Path) -> bool:
    """Say whether a run folder holds a finished training, or a finished round of one."""
    return any((folder / "units").glob("*.json")) or any((folder / _ROUNDS).glob("*/*.json"))


def reserve_run(output: Path, name: str) -> Path:
    """Make the unfinished folder of a new run and return its final name: `<output>/<time>-<name>`.

    Runs that begin in the same second get a number behind the name.
    """
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}"
    for number in itertools.count(1):
        final = output / (stem if number == 1 else f"{stem}-{number}")
        if not final.exists():
            with contextlib.suppress(FileExistsError):
                unfinished(final).mkdir(parents=True)
                return final
    raise AssertionError("unreachable")


def unfinished(final: Path) -> Path:
    """Return the provisional name of a run folder."""
    return final.with_name(f"{final.name}{_UNFINISHED}")


def _final(folder: Path) -> Path:
    return folder.with_name(folder.name.removesuffix(_UNFINISHED))


def _unfinished_ones(output: Path) -> list[Path]:
    """Return the folders of runs that go on or were interrupted, the newest first."""
    return sorted(output.glob(f"*{_UNFINISHED}"), reverse=True)


def _digest_in(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / "plan.json").read_bytes())["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _point_latest(run: Path) -> None:
    temporary = run.with_name(f".latest.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(run.name, target_is_directory=True)
    temporary.replace(run.with_name("latest"))
