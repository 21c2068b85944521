"""Shows a run while it goes on: a live display on a terminal, elsewhere one plain line per round."""

from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from server.runs.reading import RunView

_RUNNING = "running"  # a process that was killed leaves behind for whom it waited


class RunDisplay:
    """Shows a run; use as a context manager and call `show` with every new view of its folder.

    Parameters
    ----------
    console : Console
        On a terminal the display is redrawn in place; elsewhere every round is written once, as one line.
    run_id : int
        Flower's number for the run.
    """

    def __init__(self, console: Console, run_id: int) -> None:
        self._console = console
        self._run_id = run_id
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._status = ""
        self._rounds = 0
        self._asked = False
        self._waiting: str | None = None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, status: str, view: RunView | None) -> None:
        """Show the present state; `view` is None while the run has no folder."""
        if self._live:
            self._live.update(draw_run(self._run_id, status, view), refresh=True)
            return
        if status != self._status:
            self._print(f"run {self._run_id}: {status}")
            self._status = status
        if view is None:
            return
        if status == _RUNNING and view.waiting != self._waiting:
            self._waiting = view.waiting
            if view.waiting:
                self._print(view.waiting)
        if view.hospitals and not self._asked:
            self._asked = True
            for name, answer in view.hospitals.items():
                self._print(f"{name}: {describe_answer(answer)}")
        for entry in view.rounds[self._rounds :]:
            self._print(describe_round(entry, view.planned))
        self._rounds = len(view.rounds)

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, highlight=False, markup=False)


def draw_run(run_id: int, status: str, view: RunView | None) -> RenderableType:
    """Return the display of a run: its progress, the hospitals, and the last rounds."""
    if view is None:
        return Text(f"run {run_id}: {status}")
    done, planned = len(view.rounds), view.planned or 0
    head = Table.grid(padding=(0, 1))
    head.add_row(
        Text(f"run {run_id}: {status}, round {done} of {planned or '?'}", style="bold"),
        ProgressBar(total=max(planned, 1), completed=done, width=30),
    )
    parts: list[RenderableType] = [head]
    if view.waiting and status == _RUNNING:
        parts.append(Text(view.waiting, style="yellow"))
    if view.hospitals:
        parts.append(_hospital_table(view))
    if view.rounds:
        parts.append(Text("\n".join(describe_round(entry, view.planned) for entry in view.rounds[-5:])))
    return Group(*parts)


def _hospital_table(view: RunView) -> Table:
    table = Table("hospital", "plan", "images", "loss", "last round", box=None, header_style="dim")
    last = view.rounds[-1] if view.rounds else {}
    for name, answer in view.hospitals.items():
        site = last.get("sites", {}).get(name)
        failure = last.get("left_out", {}).get(name)
        outcome = Text(str(failure), style="red") if failure else Text("took part" if site else "")
        loss = f"{site['train_loss']:.3f}" if site and site["train_loss"] is not None else ""
        table.add_row(name, describe_answer(answer), str(answer.get("train_images") or ""), loss, outcome)
    return table


def describe_answer(answer: dict[str, Any]) -> str:
    """Return in words whether a hospital accepts the plan, and if not, which of its rules refuses it."""
    if answer.get("accepts"):
        return "accepts the plan"
    rule = answer.get("refused_by")
    return f"refuses the plan: rule {rule}" if rule else f"left out: {answer.get('reason')}"


def describe_round(entry: dict[str, Any], planned: int | None) -> str:
    """Return one line about a finished round."""
    words = [f"round {entry['round']}" + (f"/{planned}" if planned else "")]
    if entry.get("train_loss") is not None:
        words.append(f"train loss {entry['train_loss']:.4f}")
    # Metrics of the model that the round started from: hospitals evaluate it before they train it.
    for name, value in entry.get("start", {}).items():
        if name.startswith("validation_") and value is not None:
            words.append(f"before it {name.replace('_', ' ')} {value:.4f}")
    words.append(f"{len(entry.get('sites', {}))} hospitals")
    words.append(f"{entry['seconds']:.0f} s")
    if entry.get("attempts", 1) > 1:
        words.append(f"{entry['attempts']} attempts")
    words += [f"{name} left out: {reason}" for name, reason in entry.get("left_out", {}).items()]
    return ", ".join(words)
