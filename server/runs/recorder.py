"""Writes what happens in a production federation into its run folder, and shows it."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from common.protocol.refusals import refusing_rule
from server.rounds.checkpoints import Checkpoints
from server.rounds.observer import FederationObserver
from server.rounds.reply_checks import SiteInfo
from server.rounds.state import FederationState, RoundReport
from server.runs.reading import HOSPITALS_NAME, WAITING
from server.runs.round_records import round_entry
from server.runs.run_folder import RunFolder
from server.runs.tensorboard import RoundEvents

_INFO = ("version", "trunk_digest", "train_images", "validation_images", "test_images")


class RunRecorder(FederationObserver):
    """Keeps `hospitals.json`, `rounds.jsonl`, the checkpoints and TensorBoard's files, and says each event in one line.

    Parameters
    ----------
    run : RunFolder
        Of the federation.
    checkpoints : Checkpoints
        Keep the state after each round.
    rounds : int
        Of the whole federation.

    Attributes
    ----------
    hospitals : dict of str to SiteInfo
        Those that have taken part, by name, also before the run was interrupted.
    """

    def __init__(self, run: RunFolder, checkpoints: Checkpoints, rounds: int) -> None:
        self._run = run
        self._checkpoints = checkpoints
        self._rounds = rounds
        self._answers: dict[str, dict[str, Any]] = _earlier_answers(run)
        self.hospitals = {
            name: SiteInfo(name, *(answer[key] for key in _INFO))
            for name, answer in self._answers.items()
            if "trunk_digest" in answer
        }
        self._curves_begun = False
        self._events = RoundEvents(run.path / "tensorboard")
        self.waiting(None)  # that of a process which was killed while it waited

    def say(self, line: str) -> None:
        """Print a line, and add it to the run's log."""
        print(line, flush=True)
        self._run.log(line)

    def hospitals_introduced(self, taking_part: Sequence[SiteInfo], left_out: Mapping[str, str]) -> None:
        """Write `hospitals.json` and say who takes part."""
        self.hospitals |= {info.name: info for info in taking_part}
        self._answers |= _answers(taking_part, left_out)
        self._run.write_json(HOSPITALS_NAME, self._answers)
        if taking_part:
            self.say(f"{len(self.hospitals)} hospitals take part: {', '.join(sorted(self.hospitals))}")
        for hospital, reason in left_out.items():
            self.say(f"{hospital} left out: {reason}")

    def state_reached(self, state: FederationState) -> None:
        """Write a checkpoint."""
        self._checkpoints.save(state)

    def round_finished(self, report: RoundReport) -> None:
        """Add the round to `rounds.jsonl` and the curves, and say how it went."""
        self.round_restored(report)
        loss = "" if report.train_loss is None else f", loss {report.train_loss:.3f}"
        tried = f", attempt {len(report.failed_attempts) + 1}" if report.failed_attempts else ""
        took = f"{report.seconds:.0f} s"
        self.say(f"round {report.round}/{self._rounds}: {len(report.sites)} hospitals, {took}{tried}{loss}")
        for hospital, reason in report.failures.items():
            self.say(f"{hospital} left out of round {report.round}: {reason}")
        for hospital, count in report.late.items():
            self.say(f"{hospital}: {count} late, discarded")
        for hospital, count in report.repeated.items():
            self.say(f"{hospital}: {count} more than one, discarded")

    def round_restored(self, report: RoundReport) -> None:
        """Add the round to `rounds.jsonl` and the curves, which begin anew; the log says already how it went.

        They do so here, and not before the first round: a resume may still be refused, or find no hospital.
        """
        if not self._curves_begun:
            self._run.clear_rounds()
            self._curves_begun = True
        entry = round_entry(report, self._rounds)
        self._run.append_round(entry)
        self._events.add(entry)

    def waiting(self, line: str | None) -> None:
        """Say the line, and keep it in `waiting.json` until the wait is over."""
        if line is not None:
            self.say(line)
        # Only for whoever looks on: a full disk ends the run elsewhere, if it does.
        with contextlib.suppress(OSError):
            if line is not None:
                self._run.write_json(WAITING, {"line": line})
            else:
                (self._run.path / WAITING).unlink(missing_ok=True)

    def trouble(self, line: str) -> None:
        """Say the line."""
        self.say(line)

    def close(self) -> None:
        """Close TensorBoard's files."""
        self._events.close()


def _earlier_answers(run: RunFolder) -> dict[str, dict[str, Any]]:
    path = run.path / HOSPITALS_NAME
    found: dict[str, dict[str, Any]] = json.loads(path.read_bytes()) if path.is_file() else {}
    return found


def _answers(taking_part: Sequence[SiteInfo], left_out: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return what `rarefed-server status` shows of each hospital."""
    told: dict[str, dict[str, Any]] = {
        info.name: {**{key: getattr(info, key) for key in _INFO}, "accepts": True} for info in taking_part
    }
    for hospital, reason in left_out.items():
        told[hospital] = {"accepts": False, "refused_by": refusing_rule(reason), "reason": reason}
    return told
