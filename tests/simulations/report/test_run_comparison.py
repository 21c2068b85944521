"""Runs side by side."""

import json
from pathlib import Path

import pytest

from common.errors import InputError
from simulations.report.run_comparison import compare_runs, write_comparison
from simulations.report.terminal import TABLE_WIDTH
from tests.simulations.report.cases import ALL_ARMS, RunFactory
from tests.simulations.report.reading import Page, printed, shown


def test_runs_stand_side_by_side_with_what_differs(make_run: RunFactory, tmp_path: Path) -> None:
    one, other = make_run(arms=ALL_ARMS, rounds=24), make_run(rounds=12, seed=5, repeats=3, folds=5)
    text = printed(compare_runs([one, other]))
    assert max(len(line) for line in text.splitlines()) <= TABLE_WIDTH
    assert "federation.rounds" in text
    assert "learning_rate" not in text
    for run in (one, other):
        found = json.loads((run / "summary.json").read_text())["arms"]["federated"]
        assert f"{shown(found['correct'])}/200" in text
    page = Page(write_comparison([one, other], tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "federation.rounds" in page.words
    assert "A minus B, on the same images" in page.words
    assert not {"script", "link", "iframe", "img"} & set(page.seen)
    with pytest.raises(InputError, match="name 2 to 26"):
        compare_runs([one])
