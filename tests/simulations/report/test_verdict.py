"""The verdict claims what the test images can show, and no more."""

import json
from pathlib import Path
from typing import Any

from common.summary.summary import Summary
from simulations.report.figures.learning_figures import learning_figures
from simulations.report.verdict import Verdict, reach_verdict
from tests.simulations.report.cases import ALL_ARMS, RunFactory, against


def judge(run: Path, **changes: Any) -> Verdict:
    """Return the verdict on a study in which something at the top level is changed."""
    return reach_verdict(Summary.model_validate(json.loads((run / "summary.json").read_text()) | changes))


def test_the_verdict_claims_a_difference_only_where_there_is_one(make_run: RunFactory) -> None:
    run = make_run(arms=ALL_ARMS)
    cases = {
        "in favour of federated training": against("centralized", 0.09, 0.04, 0.0002),
        "in favour of the linear probe": against("probe", -0.09, 0.04, 0.0002),
        "in favour of federated training; the AUC says the opposite": against("local", 0.09, 0.04, 0.001, auc=-0.05),
        "These 200 images cannot tell the two apart": against("centralized", -0.01, 0.04, 0.6),
        # One that the interval and the test do not agree on is none.
        "200 images cannot tell the two apart": against("centralized", 0.05, 0.04, 0.06),
        "by AUC federated training ranks them better": against("scratch", 0.01, 0.04, 0.6, auc=0.05),
        "got equally many images right": against("local-all", 0.0, 0.04, 1.0),
        "got 1 fewer of 200 images right than": against("centralized", -0.005, 0.04, 0.8),
    }
    for said, tests in cases.items():
        assert said in judge(run, tests=tests).findings[0]
    untested = against("probe", 0.0, 0.04, 1.0)
    untested["federated-probe"] |= {"accuracy": None, "auc": None}
    assert "could not be tested" in judge(run, tests=untested).findings[0]
    clear = judge(run, tests=cases["in favour of federated training"]).limits[0]
    assert "cannot tell" not in clear
    close = judge(run, tests=cases["These 200 images cannot tell the two apart"]).limits[0]
    assert "differences below about 4 points are noise" in close
    assert "up to 5.0 points worse or 3.0 points better" in close


def test_the_verdict_says_how_much_of_the_gap_was_closed_or_why_it_cannot(make_run: RunFactory) -> None:
    run = make_run()
    cases: dict[str, dict[str, Any] | None] = {
        "Federating closed 97 % (85 to 110\xa0%) of the gap": {"value": 0.97, "ci95": [0.85, 1.1], "reason": None},
        "so it may have closed none of it": {"value": 0.4, "ci95": [-0.2, 1.1], "reason": None},
        "Federating closed −20 % (−90 to 30\xa0%)": {"value": -0.2, "ci95": [-0.9, 0.3], "reason": None},
        "cannot be said: the gap is too small": {"value": None, "ci95": None, "reason": "the gap is too small"},
        "(no interval: too few draws)": {"value": 0.5, "ci95": None, "reason": "too few draws"},
    }
    for said, gap in cases.items():
        assert said in judge(run, gap_closed={"accuracy": gap, "auc": gap}).gap
    assert judge(run, gap_closed=None).gap == ""


def test_the_verdict_says_how_often_was_tested_and_on_whom(make_run: RunFactory) -> None:
    once = " ".join(judge(make_run(folds=5)).limits)
    assert "1 repeat of 5-fold cross-validation: every image was tested once" in once
    assert "The 200 images come from 180 patients; the intervals draw patients" in once
    thrice = " ".join(judge(make_run(folds=5, repeats=3)).limits)
    assert "every image was tested 3 times" in thrice
    assert "From repeat to repeat" in thrice
    assert "One split" in " ".join(judge(make_run()).limits)
    assert "synthetic" in " ".join(judge(make_run(synthetic=True)).limits)
    worst = judge(make_run()).findings[-1]
    assert worst.startswith("Least accurate site: federated training at ")


def test_the_verdict_says_what_images_were_for_that_were_not_tested(make_run: RunFactory) -> None:
    run = make_run()
    dataset = json.loads((run / "summary.json").read_text())["dataset"] | {"images": 1000}
    site = dict.fromkeys(("images", "train", "test"), 10) | {"name": "north"}
    for held_back, rule, said in (
        (30, "best", "of 1000; the others trained and chose the models."),
        (30, "mean", "of 1000; the others trained, or were held back unused."),
        (0, "mean", "of 1000; the others trained."),
        (0, "best", "of 1000; the others trained."),
    ):
        changes = {
            "dataset": dataset | {"sites": [site | {"validation": held_back}]},
            "plan": {"federation": {"select": rule}},
        }
        assert said in " ".join(judge(run, **changes).limits)


def test_an_average_has_no_dot_on_a_learning_curve(make_run: RunFactory) -> None:
    written = json.loads((make_run() / "summary.json").read_text())
    for averaged_from, dotted in ((None, True), (0.75, False)):
        for arm in written["arms"].values():
            arm["selected"] = {"progress": 1.0, "averaged_from": averaged_from}
        captions = {one.name: one.caption for one in learning_figures(Summary.model_validate(written))}
        assert ("A dot marks" in captions["learning-validation-loss"]) == dotted
