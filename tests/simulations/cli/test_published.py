"""`rarefed-sim published`: a paper's numbers beside those of its trainings."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import simulations.cli.main
from common.plan.training_plan import TrainingPlan
from tests.simulations.report.cases import RunFactory

FILE = """
paper = "A. Nobody (2020), A journal"
differs = ["The network [another one].", "The images."]

[trainings.one]
[trainings.other]
federation.strategy = "fedadam"

[[results]]
training = "one"
arm = "centralized"
metric = "accuracy"
method = "Pooled"
value = 0.9808

[[results]]
training = "other"
arm = "federated"
metric = "balanced-accuracy-of-sites"
method = "FedAdam"
"""


def test_each_number_stands_beside_that_of_its_training(
    tmp_path: Path, make_run: RunFactory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [make_run(seed=1), make_run(seed=2, classes=("a", "b", "c"))]
    asked: list[TrainingPlan] = []

    def train_all(plans: Sequence[TrainingPlan], fresh: bool, console: object) -> list[Path]:
        asked.extend(plans)
        return runs

    monkeypatch.setattr("simulations.cli.runs.train_all", train_all)
    (tmp_path / "paper.toml").write_text(FILE)
    output = tmp_path / "out"
    arguments = [str(tmp_path / "paper.toml"), str(tmp_path), "--output", str(output), "--set", "training.seed=9"]
    monkeypatch.setattr(sys, "argv", ["rarefed-sim", "published", *arguments])
    with pytest.raises(SystemExit) as ended:
        simulations.cli.main.main()
    assert not ended.value.code
    assert [(plan.study.name, plan.training.seed) for plan in asked] == [("paper-one", 9), ("paper-other", 9)]
    assert [plan.federation.strategy for plan in asked] == ["fedavg", "fedadam"]
    printed = capsys.readouterr().out
    assert "A. Nobody (2020), A journal" in printed
    assert "- The network [another one].\n- The images.\n" in printed
    header, pooled, fedadam = (output / "paper" / "published.csv").read_text().splitlines()
    assert header == 'Published as,Metric,Paper,Here,"Here, arm",Tested images'
    assert pooled.startswith("Pooled,accuracy,0.9808,0.")
    assert fedadam.startswith('FedAdam,"balanced accuracy, mean of hospitals",–,0.')
    assert pooled.endswith(",Centralised,200")
