"""What a run shows on the terminal while it goes on."""

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn


class RunProgress:
    """Prints a run's lines, on a terminal with a progress bar below them; use as a context manager.

    Parameters
    ----------
    console : Console
        Gets lines and bar.
    """

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._console = console
        self._task = self._bar.add_task("starting Flower", total=100)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, line: str) -> None:
        """Print one line of the run; its percentage, as in "[ 40% ...]", moves the bar."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        if line.startswith("[") and "%" in line:
            share, _, rest = line[1:].partition("%")
            self._bar.update(self._task, completed=float(share), description=rest.partition("]")[0].strip())
