"""The linear probe where there is nothing to tell apart."""

from pathlib import Path

import numpy as np
from PIL import Image

from common.plan.training_plan import TrainingPlan
from simulations.sites.consortium import load_consortium
from simulations.study.probe import fit_probe


def test_a_fold_whose_training_images_are_of_one_class(tmp_path: Path) -> None:
    """The only patient of a class is tested in one of the two folds."""
    rng = np.random.default_rng(0)
    rows = ["path,label,patient,site"]
    for number in range(12):
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        label = "sick" if number < 1 else "healthy"
        rows.append(f"{number}.png,{label},p{number},north")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    flat = {"data.path": str(tmp_path), "data.size": 64, "data.test_fraction": 0.5, "model.weights": "none"}
    for fold in range(2):
        plan = TrainingPlan.from_flat(flat | {"data.fold": fold})
        consortium = load_consortium(plan)
        known = {record.label for record in (*consortium.pooled("train"), *consortium.pooled("validation"))}
        outcome = fit_probe(plan, consortium)
        if known == {0}:
            assert [row[:2] for row in outcome.probabilities] == [[1.0, 0.0]] * len(consortium.pooled("test"))
            return
    raise AssertionError("the only patient of a class is tested in one of the folds")
