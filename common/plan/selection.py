"""The rules by which a training's tails become one model; `common/training/selection_rules.py` computes them."""

from typing import Literal

SelectionName = Literal["best", "smoothed", "one-se", "last", "mean", "ema"]

COMPARING: tuple[SelectionName, ...] = ("best", "smoothed", "one-se")
"""Those that compare validation losses; without any they keep the last tail."""


def explain_no_choice(rule: SelectionName, validation_fraction: float) -> list[str]:
    """Return a line if a rule compares tails on patients and none are held back; else none."""
    if validation_fraction or rule not in COMPARING:
        return []
    return [
        f"no patients are held back for validation (data.validation_fraction = 0), so that federation.select = {rule} "
        "keeps the last round or epoch"
    ]
