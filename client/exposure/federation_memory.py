"""What this hospital remembers of each federation, so that no server can ask again and again.

A federation has one plan, and its tails follow each other. How often it may train a round and test a model, and how
many federations there may be in a month, is for the hospital to say.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from flwr.app import MessageType
from numpy.typing import NDArray

from client.exposure.tail_origin import InitialTail, SeenTail, check_tail, movement
from client.rules.hospital_file import RulesSection
from client.rules.policy import HospitalFailure, Refusal
from client.rules.request import Request
from common.errors import InputError
from common.models.tail_layout import tail_digest
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.refusals import Failure, Rule
from common.system.files import all_but_newest, remove_parts, write_bytes_atomically
from common.system.tensor_file import TensorFileError, read_tensors, write_tensors

_DAY = 24 * 3600
_MONTH, _FORGET = 30 * _DAY, 400 * _DAY
# Of the latest federations the last tail is kept, some ten megabytes each; of older ones a line.
_KEEP_TAILS = 3
# A server that lost its last checkpoint asks for a round anew, with another tail if other hospitals answered.
_TAILS_OF_A_ROUND = 2
_FACTS, _TAIL = "facts.json", "tail.safetensors"


class _Facts(NamedTuple):
    """What is remembered beside the tail.

    Attributes
    ----------
    began : float
        Seconds since 1970.
    plan : str
        Digest of the federation's one plan.
    trained, tested : tuple of str
        What was trained and tested: round or split, and the tail's digest.
    movement : float
        The farthest that an update of this hospital's own moved a tensor; 0 before the first.
    """

    began: float
    plan: str
    trained: tuple[str, ...] = ()
    tested: tuple[str, ...] = ()
    movement: float = 0.0

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return what a file holds; None if there is none."""
        try:
            told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            worked = tuple(told["trained"]), tuple(told["tested"])
            return cls(float(told["began"]), told["plan"], *worked, float(told.get("movement", 0.0)))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise HospitalFailure(Failure.STATE, f"{path} was damaged since it was written: remove it") from error


class FederationMemory:
    """Admits the work that a federation asks for, and writes down that it did before it is done.

    Parameters
    ----------
    folder : Path
        Holds nothing else; made when the first federation asks.
    rules : RulesSection
        This hospital's rules.
    initial_tail : callable
        Returns where every training of a plan starts.
    """

    def __init__(self, folder: Path, rules: RulesSection, initial_tail: Callable[[TrainingPlan], InitialTail]) -> None:
        self._all = folder
        self._rules = rules
        self._initial_tail = initial_tail

    def admit(self, request: Request, tail: NDArray[np.float32]) -> None:
        """Refuse a training or a test that is one too many, or of a tail of unknown origin.

        Raises
        ------
        Refusal
            By `Rule.PLANS`, `ROUNDS`, `TESTS`, `FEDERATIONS` or `TAILS`.
        HospitalFailure
            If the pretrained weights cannot be read, or the memory cannot be read or written.
        """
        folder = self._folder(request)
        facts = _Facts.read(folder / _FACTS) or self._begin(request)
        if facts.plan != request.plan.digest:
            raise Refusal(Rule.PLANS)
        number = messages.read_int(request.config, messages.ROUND)
        if not 0 < number <= request.plan.federation.rounds:
            raise Refusal(Rule.ROUNDS)
        facts = self._counted(facts, request, number, tail_digest(tail))
        made_by = number - 1 if request.kind == MessageType.TRAIN else number
        last = self._last(folder, facts.movement)
        check_tail(self._rules.tails, self._initial(request), tail, made_by, last)
        self._write(folder, facts, SeenTail(made_by, facts.movement, tail))

    def learn(self, request: Request, change: NDArray[np.float32]) -> None:
        """Remember how far this hospital's own training moved a tail, by which the next ones are measured."""
        folder = self._folder(request)
        facts = _Facts.read(folder / _FACTS)
        layout = self._initial(request).layout
        if change.shape != (layout.size,):
            raise HospitalFailure(Failure.REPLY, f"an update of {change.size} values, of a tail of {layout.size}")
        moved = movement(layout, change)
        if facts is not None and moved > facts.movement:
            try:
                self._write_facts(folder, facts._replace(movement=moved))
            except OSError as error:
                raise _unwritable(folder, error) from error

    def _begin(self, request: Request) -> _Facts:
        now = time.time()
        found = [_Facts.read(path) for path in self._all.glob(f"*/{_FACTS}")]
        # One whose clock was ahead counts too.
        recent = [facts for facts in found if facts is not None and facts.began > now - _MONTH]
        if len(recent) >= self._rules.federations:
            raise Refusal(Rule.FEDERATIONS)
        return _Facts(now, request.plan.digest)

    def _counted(self, facts: _Facts, request: Request, number: int, digest: str) -> _Facts:
        """Return the facts with one more training or test; the same again is none, for it gets the same answer."""
        if request.kind == MessageType.TRAIN:
            of_round = {each for each in facts.trained if each.startswith(f"{number} ")} | {f"{number} {digest}"}
            if len(of_round) > _TAILS_OF_A_ROUND:
                raise Refusal(Rule.ROUNDS)
            return facts._replace(trained=_with(facts.trained, f"{number} {digest}"))
        split = "test" if request.config.get(messages.SPLIT) == "test" else "validation"
        tested = _with(facts.tested, f"{split} {digest}")
        if sum(each.startswith(split) for each in tested) > self._rules.tests:
            raise Refusal(Rule.TESTS)
        return facts._replace(tested=tested)

    def _initial(self, request: Request) -> InitialTail:
        try:
            return self._initial_tail(request.plan)
        except InputError as error:
            raise HospitalFailure(Failure.WEIGHTS, str(error)) from error

    def _folder(self, request: Request) -> Path:
        federation = request.config.get(messages.FEDERATION)
        # The server chose the name: none of it may become part of a path.
        return self._all / hashlib.sha256(str(federation).encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def _last(self, folder: Path, moved: float) -> SeenTail | None:
        try:
            tensors, rounds = read_tensors(folder / _TAIL, place=folder.name)
        except TensorFileError:
            return None
        return SeenTail(int(rounds), moved, tensors[messages.TAIL])

    def _write(self, folder: Path, facts: _Facts, seen: SeenTail) -> None:
        try:
            self._all.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            remove_parts(folder)
            write_tensors(folder / _TAIL, {messages.TAIL: seen.values}, place=folder.name, text=str(seen.rounds))
            self._write_facts(folder, facts)
            for old in all_but_newest(self._all.glob(f"*/{_TAIL}"), _KEEP_TAILS):
                old.unlink(missing_ok=True)
            for path in self._all.glob(f"*/{_FACTS}"):
                if path.stat().st_mtime < time.time() - _FORGET:
                    shutil.rmtree(path.parent, ignore_errors=True)
        except OSError as error:
            raise _unwritable(folder, error) from error

    def _write_facts(self, folder: Path, facts: _Facts) -> None:
        write_bytes_atomically(folder / _FACTS, json.dumps(facts._asdict()).encode(), mode=0o600)


def _unwritable(folder: Path, error: OSError) -> HospitalFailure:
    return HospitalFailure(Failure.STATE, f"{folder} cannot be written: {error.strerror}")


def _with(listed: tuple[str, ...], one: str) -> tuple[str, ...]:
    return listed if one in listed else (*listed, one)
