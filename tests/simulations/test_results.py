import csv
import io

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from client.site import Site
from common.exchange import TailLayout
from common.manifest import ArraySource, Dataset, ImageRecord
from common.models import build_model
from common.plan import TrainingPlan
from common.splits import Split
from simulations.arms import Arm, Moment, Trained
from simulations.hospitals import Hospitals
from simulations.progress import Progress
from simulations.results import predictions_csv, summarise

CLASSES = ("healthy", "sick")
PLAN = TrainingPlan.from_flat({"model.weights": "none", "model.freeze": "all"})
MODEL = build_model(PLAN, 2)
LAYOUT = TailLayout.of(MODEL.tail, "frozen")


def record(name: str, label: int) -> ImageRecord:
    return ImageRecord(name, label, name, None, "", ArraySource(np.zeros((2, 2, 3), np.uint8)))


@pytest.fixture
def hospitals() -> Hospitals:
    north = Split(train=(record("n1", 0),), validation=(), test=(record("n2", 0), record("n3", 1)))
    south = Split(train=(record("s1", 1),), validation=(), test=(record("s2", 1),))
    sites = (Site("north", CLASSES, north), Site("south", CLASSES, south))
    everything = tuple(r for split in (north, south) for r in (*split.train, *split.test))
    return Hospitals(Dataset("tiny", CLASSES, everything, (), "each image its own patient"), False, "natural", sites)


def trained(sick: list[float]) -> Trained:
    column = np.array(sick)
    probabilities: NDArray[np.float64] = np.stack([1 - column, column], axis=1)
    return Trained(np.zeros(LAYOUT.size, np.float32), probabilities, selected=0.5)


def arms() -> dict[str, Arm]:
    history = (Moment(1.0, 0.4, None),)
    return {
        "federated": Arm("federated", {"": trained([0.2, 0.9, 0.4])}, history, 1.0, 10),
        # North's model is right about north and wrong about south; south's model says sick to everyone.
        "local": Arm("local", {"north": trained([0.1, 0.8, 0.3]), "south": trained([0.9, 0.9, 0.9])}, history, 1.0, 10),
    }


def test_every_patient_is_judged_by_the_own_hospitals_model(hospitals: Hospitals) -> None:
    MODEL.trunk.to(torch.bfloat16)
    summary = summarise(PLAN, hospitals, MODEL, LAYOUT, arms(), None, 2.0)
    local = summary["arms"]["local"]
    assert (local["correct"], local["total"]) == (3, 3)
    assert local["per_site"]["north"]["correct"] == 2
    assert local["per_site"]["south"]["correct"] == 1
    assert {site: entry["correct"] for site, entry in local["models"].items()} == {"north": 2, "south": 2}
    assert local["on_all_sites"]["correct"] == 2
    assert local["on_all_sites"]["accuracy"] == pytest.approx(2 / 3)
    federated = summary["arms"]["federated"]
    assert federated["confusion"] == [[1, 0], [1, 1]]
    assert summary["cost"]["bytes_up_per_site_per_round"] == LAYOUT.size * 4
    assert summary["cost"]["bytes_model_full"] == sum(t.numel() for t in MODEL.state_dict().values()) * 4
    assert summary["weights_sha256"] is None
    assert summary["dataset"]["sites"][0]["per_class"] == {"healthy": 2, "sick": 1}


def test_predictions_have_a_line_for_each_model_and_image(hospitals: Hospitals) -> None:
    rows = list(csv.DictReader(io.StringIO(predictions_csv(hospitals, arms()))))
    assert [(row["model"], row["image"]) for row in rows if row["arm"] == "local"] == [
        (model, image) for model in ("north", "south") for image in ("n2", "n3", "s2")
    ]
    first = rows[0]
    assert (first["site"], first["label"], first["predicted"]) == ("north", "healthy", "healthy")
    assert float(first["p_sick"]) == 0.2


def test_progress_tells_the_share_and_the_time_left() -> None:
    lines: list[str] = []
    progress = Progress(200, lines.append)
    progress.step(50, "one")
    progress.step(50, None)
    progress.step(60, "two")
    progress.step(100, "more than planned")
    progress.say("done")
    assert lines[0] == "[ 25%          ] one"
    assert lines[1].startswith("[ 80%  0:00 left] two")
    assert lines[2].startswith("[100%  0:00 left] more")
    assert lines[3] == "done"
