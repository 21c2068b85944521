"""What is said where two runs are not tested against each other."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from simulations.report.run_comparison import compare_runs, write_comparison
from tests.simulations.report.cases import RunFactory
from tests.simulations.report.reading import Page, printed

FEW = {"arms": ("federated",), "sites": (("north", 8),)}


def lines_of(folders: list[Path], page: Path) -> str:
    """Return the terminal's text in one line; the page must say the same of the pairs."""
    text = " ".join(printed(compare_runs(folders)).split())
    words = Page(write_comparison(folders, page).read_text(encoding="utf-8")).words
    for sentence in text[text.rfind("A and B") :].split(". "):
        assert sentence in words
    return text


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"image_name": "other-{index:03d}.png", "seed": 1}, "not tested against each other: no image in common."),
        ({"sites": (("north", 6),)}, "not tested against each other: only 6 images in common, of 8 and 6."),
        ({"truth_seed": 9}, "of their 8 images have another class in the other run."),
        ({"sites": (("south", 8),), "image_name": "north/{index:03d}.png"}, "8 of their 8 images have another patient"),
        ({"classes": ("a", "b", "c")}, "2 classes in one and 3 in the other."),
        ({"arms": ("centralized",)}, "no arm in common (Federated; Centralised)."),
        ({"arms": ()}, "no predictions of one of them."),
        ({"arms": ("centralized", "federated"), "seed": 3}, None),
    ],
)
def test_a_pair_of_runs_that_is_not_tested_says_why(
    make_run: RunFactory, tmp_path: Path, other: dict[str, Any], reason: str | None
) -> None:
    text = lines_of([make_run(**FEW), make_run(**FEW | other)], tmp_path / "page.html")
    if reason is None:
        assert "A minus B" in text
        assert "not tested" not in text
    else:
        assert "A minus B" not in text
        assert reason in text[text.index("A and B were not tested against each other: ") :]


def test_the_same_run_is_not_tested_against_itself(make_run: RunFactory, tmp_path: Path) -> None:
    run = make_run(**FEW)
    copy = shutil.copytree(run, tmp_path / "a copy")
    text = lines_of([run, run], tmp_path / "page.html")
    assert "A and B were not tested against each other: they are the same run, named twice." in text
    assert "A and B were not tested against each other: one is a copy of the other." in printed(
        compare_runs([run, copy])
    )


def test_too_few_patients_for_a_test_are_said_and_pairs_of_later_runs(make_run: RunFactory, tmp_path: Path) -> None:
    lonely = {"arms": ("federated",), "sites": (("north", 8),), "one_class": ("north",)}
    runs = [make_run(**lonely, seed=seed) for seed in range(3)]
    text = lines_of(runs, tmp_path / "page.html")
    assert "A and B: AUC not tested, too few patients: 0 of one class were tested, at least 2 are needed." in text
    assert "B, C were tested against A only: name another run first for other pairs." in text
