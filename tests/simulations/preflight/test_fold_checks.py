"""A study that would fail in its fifth fold is refused before its first."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from client.preflight.findings import Status
from common.errors import InputError
from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan
from simulations.preflight.fold_checks import check_folds, split_every_fold
from simulations.study.variants import variants_of


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Sixteen images, each of its own patient."""
    for index, label in enumerate(("negative", "positive")):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(8):
            pixels = np.random.default_rng(100 * index + number).integers(0, 255, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / label / f"{number}.png")
    return tmp_path / "data"


def plan(data: Path, **changes: Scalar) -> TrainingPlan:
    settings: dict[str, Scalar] = {"data.path": str(data), "study.sites": 2, "study.partition": "iid"}
    return TrainingPlan.from_flat(settings | {f"study.{key}": value for key, value in changes.items()})


def test_a_fold_without_anyone_to_test_is_named_with_the_key_to_change(small: Path) -> None:
    variants, _ = variants_of(plan(small, folds=20))
    with pytest.raises(InputError, match=r"^study\.folds = 20: fold \d+: .*fewer folds$"):
        split_every_fold(variants)


def test_the_folds_of_all_repeats_are_split_once_for_all_variants(small: Path) -> None:
    variants, _ = variants_of(plan(small, folds=2, repeats=3, strategies="fedavg,fedprox", partitions="iid,dirichlet"))
    assert len(variants) == 4
    folds = split_every_fold(variants)
    assert len(folds) == 2 * 3 * 2
    assert folds[0].title == "fold 1 of repeat 1"
    assert check_folds(folds[:6]).status == Status.PASSED


def test_a_fold_that_lacks_a_class_is_warned_of(small: Path) -> None:
    for number in range(1, 8):
        (small / "positive" / f"{number}.png").unlink()
    variants, _ = variants_of(plan(small, folds=2, sites=1))
    finding = check_folds(split_every_fold(variants))
    assert finding.status == Status.WARN
    assert "image of positive" in finding.found


def test_a_study_says_so_within_seconds_and_leaves_nothing(small: Path, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "rarefed-sim"), "study", "--data", str(small), "--sites", "2"]
    command += ["--folds", "20", "--set", "study.partition=iid", "--output", str(tmp_path / "runs")]
    began = time.monotonic()
    done = subprocess.run(command, cwd=tmp_path, env=os.environ.copy(), capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: study.folds = 20: fold ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()
    assert time.monotonic() - began < 20


def test_batch_norm_is_not_trained_on_a_single_image(small: Path) -> None:
    trained = plan(small, sites=6, partition="iid").changed({"model.batch_norm": "train"})
    with pytest.raises(InputError, match=r"trains on one image, which BatchNorm cannot: set model.batch_norm=frozen"):
        split_every_fold(variants_of(trained)[0])
    split_every_fold(variants_of(trained.changed({"study.arms": "centralized"}))[0])
