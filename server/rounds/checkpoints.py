"""Checkpoints of a federation after every round: written whole or not at all, and checked by digest.

A checkpoint is two files: `round-0007.safetensors` with the tensors, and `round-0007.json` with everything else, the
digest of the tensors and its own. The JSON file is written last; without it there is no checkpoint.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from common.errors import RunError
from common.evaluation.evaluation_counts import EvaluationCounts
from common.evaluation.ranked_pairs import RankedPairs
from common.evaluation.score_histogram import ScoreHistogram
from common.system.files import remove_parts, write_bytes_atomically, write_text_atomically
from common.system.wording import plural
from common.training.selection_rules import KeptModel
from server.rounds.quarantine import QuarantineStatus
from server.rounds.reply_checks import SiteReport
from server.rounds.state import FailedAttempt, FederationState, RoundReport

_OPTIMIZER = "optimizer."
_DIGEST = "digest"


class CheckpointError(Exception):
    """A checkpoint that cannot be used; the text says why, without its name."""


class _ForeignCheckpointError(CheckpointError):
    """A sound checkpoint, of which this training is not the continuation."""


class Checkpoints:
    """The checkpoints of one training.

    Parameters
    ----------
    folder : Path
        Holds nothing else; made with the first checkpoint.
    identity : str
        Digests of what must be equal for a checkpoint to be resumed: plan and trunk.
    keep : int
        How many of the last checkpoints are kept, at least 1, beside that of the round that is kept so far. Others are
        removed after the new one is written.
    """

    def __init__(self, folder: Path, identity: str, keep: int = 2) -> None:
        self._folder = folder
        self._identity = identity
        self._keep = keep

    def save(self, state: FederationState) -> None:
        """Write a checkpoint of a state after at least one round, then remove old ones."""
        self._folder.mkdir(parents=True, exist_ok=True)
        tensors = {"tail": state.tail}
        if state.kept is not None:
            tensors["kept"] = state.kept.tail
        tensors |= {f"{_OPTIMIZER}{name}": np.ascontiguousarray(value) for name, value in state.optimizer.items()}
        content = save(tensors)
        stem = f"round-{len(state.rounds):04}"
        write_bytes_atomically(self._folder / f"{stem}.safetensors", content)
        known: dict[str, Any] = {
            "identity": self._identity,
            "tensors": hashlib.sha256(content).hexdigest(),
            "kept": _kept_to_json(state.kept) if state.kept is not None else None,
            "rounds": [_report_to_json(report) for report in state.rounds],
            "standings": {name: [one.faults, one.back_in] for name, one in state.quarantine.items()},
            "federation": state.federation,
        }
        text = json.dumps(known | {_DIGEST: _digest(known)})
        write_text_atomically(self._folder / f"{stem}.json", text)
        best = state.kept.number if state.kept is not None else 0
        # A checkpoint of a later round was not used, so it is damaged; it must not displace one that can be.
        for old in [one for one in self._stems() if one <= stem][: -self._keep]:
            if old != f"round-{best:04}":
                self._drop(old)
        remove_parts(self._folder)

    def latest(self, say: Callable[[str], None]) -> FederationState | None:
        """Return the state of the last usable checkpoint; None if there is no checkpoint at all.

        Parameters
        ----------
        say : callable
            Takes one line per checkpoint that is damaged.

        Raises
        ------
        RunError
            If one belongs to another training, or none of them can be used: to begin anew would in the end remove
            them, and nobody asked for that.
        """
        stems = self._stems()
        for stem in reversed(stems):
            try:
                return self._load(stem)
            except _ForeignCheckpointError as error:
                raise RunError(
                    f"checkpoint {self._folder / stem}: {error}; go on with the plan, the weights and the version of "
                    "rarefed that wrote it, or start a new run"
                ) from error
            except CheckpointError as error:
                say(f"checkpoint {self._folder / stem}: {error}; the one before is used")
        if stems:
            raise RunError(
                f"{self._folder}: none of its {plural(len(stems), 'checkpoint')} can be used; restore the folder "
                "from a backup, or start a new run"
            )
        return None

    def _drop(self, stem: str) -> None:
        # The JSON file first, so that an interruption leaves no checkpoint.
        (self._folder / f"{stem}.json").unlink(missing_ok=True)
        (self._folder / f"{stem}.safetensors").unlink(missing_ok=True)

    def _stems(self) -> list[str]:
        return sorted(path.stem for path in self._folder.glob("round-*.json"))

    def _load(self, stem: str) -> FederationState:
        try:
            known = json.loads((self._folder / f"{stem}.json").read_bytes())
            told = known.pop(_DIGEST)
            content = (self._folder / f"{stem}.safetensors").read_bytes()
        except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise CheckpointError("cannot be read") from error
        if told != _digest(known) or known["tensors"] != hashlib.sha256(content).hexdigest():
            raise CheckpointError("was damaged since it was written")
        if known["identity"] != self._identity:
            raise _ForeignCheckpointError("belongs to another plan, trunk or version")
        try:
            return self._state_of(known, load(content))
        except SafetensorError as error:
            raise CheckpointError("holds no tensors") from error
        except (KeyError, TypeError, IndexError) as error:
            raise _ForeignCheckpointError("was written by another version, which kept other things") from error

    @staticmethod
    def _state_of(known: dict[str, Any], tensors: Mapping[str, Any]) -> FederationState:
        kept = known["kept"]
        return FederationState(
            tail=tensors["tail"],
            kept=KeptModel(tensors["kept"], **kept) if kept else None,
            optimizer={
                name.removeprefix(_OPTIMIZER): value for name, value in tensors.items() if name.startswith(_OPTIMIZER)
            },
            rounds=tuple(_report_from_json(entry) for entry in known["rounds"]),
            quarantine={name: QuarantineStatus(*numbers) for name, numbers in known["standings"].items()},
            federation=known["federation"],
        )


def _digest(known: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _kept_to_json(kept: KeptModel) -> dict[str, int | None]:
    """Return all but the tail; what was scored stands in the reports of the rounds."""
    return {"number": kept.number, "measure": kept.measure, "averaged_from": kept.averaged_from}


def _report_to_json(report: RoundReport) -> dict[str, Any]:
    return {
        "round": report.round,
        "seconds": report.seconds,
        "sites": {
            name: {
                "images": site.images,
                "train_loss": site.train_loss,
                "change_norm": site.change_norm,
                "evaluation": _counts_to_json(site.evaluation),
                "weight": site.weight,
                "audit_head": site.audit_head,
            }
            for name, site in report.sites.items()
        },
        "failures": report.failures,
        "score": _counts_to_json(report.evaluation),
        "late": report.late,
        "repeated": report.repeated,
        "failed_attempts": [attempt._asdict() for attempt in report.failed_attempts],
    }


def _report_from_json(entry: dict[str, Any]) -> RoundReport:
    sites = {
        name: SiteReport(**{**told, "evaluation": _counts_from_json(told["evaluation"])})
        for name, told in entry["sites"].items()
    }
    return RoundReport(
        entry["round"],
        entry["seconds"],
        sites,
        entry["failures"],
        _counts_from_json(entry["score"]),
        entry["late"],
        entry["repeated"],
        tuple(FailedAttempt(**attempt) for attempt in entry["failed_attempts"]),
    )


def _counts_to_json(counts: EvaluationCounts | None) -> dict[str, Any] | None:
    if counts is None:
        return None
    return {
        "loss": counts.loss,
        "confusion": counts.confusion.tolist(),
        "histogram": counts.histogram.counts.tolist(),
        "ordered": counts.ranking.ordered.tolist(),
        "pairs": counts.ranking.pairs.tolist(),
    }


def _counts_from_json(entry: dict[str, Any] | None) -> EvaluationCounts | None:
    if entry is None:
        return None
    confusion = np.array(entry["confusion"], dtype=np.int64)
    histogram = ScoreHistogram(np.array(entry["histogram"], dtype=np.int64))
    ranking = RankedPairs(np.array(entry["ordered"], dtype=np.float64), np.array(entry["pairs"], dtype=np.float64))
    return EvaluationCounts(entry["loss"], confusion, histogram, ranking)
