"""Loaded by every Python process that has this folder on its PYTHONPATH: stops it at named points of a round.

The product knows nothing of it. Functions of the product, and of Flower, are wrapped when their module is imported. A
point that the harness has armed (a file of its name in the folder of RAREFED_FAULTS) is announced once, by renaming
that file to `<point>.reached`, and its process waits there until the harness removes it. And always SuperNodes ask for
messages more often, so that tests wait less.
"""

import datetime
import importlib.abc
import importlib.machinery
import json
import os
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FOLDER = os.environ.get("RAREFED_FAULTS", "")
_LONGEST_WAIT = 120.0
_LARGE = 1_000_000  # bytes; of the objects of a reply only a piece of the tail is larger


def reach(point: str, round_number: int | None = None) -> None:
    """Stop here if the point is armed for this hospital and round."""
    armed = Path(_FOLDER) / point
    try:
        wanted = json.loads(armed.read_text())
    except (OSError, ValueError):
        return
    if wanted.get("hospital") not in (None, hospital()) or wanted.get("round") not in (None, round_number):
        return
    reached = armed.with_suffix(".reached")
    try:
        armed.rename(reached)
    except OSError:
        return  # another process was faster
    reached.write_text(str(os.getpid()))
    deadline = time.monotonic() + _LONGEST_WAIT
    while reached.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def hospital() -> str | None:
    """Return whose process this is; None for the server's."""
    contact = os.environ.get("RAREFED_CONTACT_FILE")
    if contact:
        return Path(contact).parent.parent.name
    # The daemon itself, which gives that file to its children.
    return Path.cwd().name if Path.cwd().parent.name == "hospitals" else None


def _before_work(original: Callable[..., Any]) -> Callable[..., Any]:
    names = {"query": "query", "train": "before-training", "evaluate": "evaluation"}

    def answer(self: Any, message: bytes, seconds: float) -> bytes:
        from flwr.common.serde import message_from_proto
        from flwr.proto.message_pb2 import Message

        asked = message_from_proto(Message.FromString(message))
        reach(names[asked.metadata.message_type], asked.content["config"].get("round"))
        return original(self, message, seconds)

    return answer


def _in_training(original: Callable[..., Any]) -> Callable[..., Any]:
    steps = 0

    def step(self: Any, loss: Any, progress: float) -> None:
        nonlocal steps
        steps += 1
        if steps == 2:
            reach("training")
        original(self, loss, progress)

    return step


def _while_uploading(original: Callable[..., Any]) -> Callable[..., Any]:
    def push_object(self: Any, request: Any) -> Any:
        response = original(self, request)
        if len(request.object_content) > _LARGE:
            reach("uploading")
        return response

    return push_object


def _in_aggregation(original: Callable[..., Any]) -> Callable[..., Any]:
    def next_tail(self: Any, round_number: int, *arguments: Any) -> Any:
        reach("aggregation", round_number)
        return original(self, round_number, *arguments)

    return next_tail


def _while_checkpointing(original: Callable[..., Any]) -> Callable[..., Any]:
    def write_text_atomically(path: Path, text: str) -> None:
        reach(
            "checkpoint", int(path.stem.removeprefix("round-"))
        )  # the tensors lie there, what makes them one does not
        original(path, text)

    return write_text_atomically


def _released(original: Callable[..., Any]) -> Callable[..., Any]:
    def release(reply: Any, request: Any, rules: Any, name: str) -> Any:
        from malformed import spoil

        released = original(reply, request, rules, name)
        return spoil(released, request, name, Path(_FOLDER)) if request.kind == "train" else released

    return release


def _impatiently(time: Any) -> Any:
    """Return what a module gets for `time` that waits by it for messages and replies."""
    return types.SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, 0.5)))


def _let_the_clock_jump() -> None:
    """Have this process's clock be ahead by the seconds in the file `clock.<hospital or server>`, once it is there."""
    path, true_time = Path(_FOLDER) / f"clock.{hospital() or 'server'}", time.time

    def jumped() -> float:
        try:
            return true_time() + float(path.read_text())
        except (OSError, ValueError):
            return true_time()

    class Jumped(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "Jumped":
            return cls.fromtimestamp(jumped(), tz)

    time.time = jumped
    datetime.datetime = Jumped  # type: ignore[misc]


_STOPPED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "client.runner.training_process": ("TrainingProcess.answer", _before_work),
    "client.rules.egress_guard": ("release", _released),
    "common.training.tail_optimizer": ("TailOptimizer.step", _in_training),
    "flwr.supernode.fleet_http_client": ("FleetHttpClient.PushObject", _while_uploading),
    "server.rounds.aggregation": ("Strategy.next_tail", _in_aggregation),
    "server.rounds.checkpoints": ("write_text_atomically", _while_checkpointing),
}
_HURRIED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "flwr.supernode.start_client_internal": ("time", _impatiently),
}
_WRAPPED = _HURRIED | (_STOPPED if _FOLDER else {})


class _Wrapping(importlib.abc.MetaPathFinder):
    """Finds the modules above as usual, and wraps their function once they are loaded."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name not in _WRAPPED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None:
            spec = next(
                (
                    found
                    for finder in sys.meta_path
                    if finder is not self and (found := finder.find_spec(name, path, target)) is not None
                ),
                None,
            )
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            dotted, wrap = _WRAPPED[name]
            *owners, function = dotted.split(".")
            owner = module
            for each in owners:
                owner = getattr(owner, each)
            setattr(owner, function, wrap(getattr(owner, function)))

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if __name__ == "sitecustomize":
    sys.meta_path.insert(0, _Wrapping())
    # Those that the server's clock is compared with; some of the libraries that train do not bear another datetime.
    clocked = ("client.flower.supernode", "rarefed-hospital")
    if _FOLDER and any(name in Path("/proc/self/cmdline").read_text() for name in clocked):
        _let_the_clock_jump()
