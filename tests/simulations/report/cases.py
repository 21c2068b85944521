"""Studies of every kind that a report must show, as options of `write_run`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

RunFactory = Callable[..., Path]

THREE = ("nevus", "dermatofibroma", "vascular lesion")
ALL_ARMS = ("centralized", "federated", "local", "probe", "scratch")

SWEEP: dict[str, Any] = {
    "arms": ALL_ARMS,
    "variants": (
        {},
        {"family": "resnet50"},
        {"strategy": "fedprox"},
        {"partition": "iid", "sites": 8},
        {"family": "densenet121", "strategy": "fedprox", "sites": 1},
    ),
    "missing": (("vgg16", "no pretrained weights for vgg16 in a folder of staged weights: stage them with a command"),),
}
SUFFERING = {"dropout": 0.3, "hostile_sites": 1, "hostile": "flipped"}
CASES: dict[str, dict[str, Any]] = {
    "binary": {"synthetic": True, "excluded": [("north/bad.png", "truncated JPEG")]},
    "three classes": {"classes": THREE, "labels_as": "index"},
    "seven classes": {"classes": [f"class {number}" for number in range(7)]},
    "one-class sites": {"one_class": ("north", "west")},
    "one class only": {"sites": (("a", 3), ("b", 1)), "one_class": ("a", "b")},
    "no test image": {"sites": (("a", 0),)},
    "no site": {"sites": ()},
    "no arm": {"arms": ()},
    "federated only": {"arms": ("federated",)},
    "local only": {"arms": ("local",)},
    "no federated": {"arms": ("centralized", "local")},
    "faults": {"faults": SUFFERING, "variants": ({}, {"faults": "30 % drop out"}, {"faults": "1 hostile, flipped"})},
    "many sites": {"sites": [(f"site {number}", 8) for number in range(25)]},
    "all arms, repeated": {"arms": ALL_ARMS, "folds": 5, "repeats": 3},
    "folds of one class": {"folds": 5, "repeats": 2, "sites": (("a", 4), ("b", 3)), "one_class": ("b",)},
    "no gap": {"arms": ("federated", "local", "probe"), "classes": THREE, "folds": 5},
    "sweep": SWEEP,
    "sweep of three classes": SWEEP | {"classes": THREE, "folds": 5},
    "sweep of families on their own sides": SWEEP
    | {
        "variants": (
            {"size": 224},
            {"family": "efficientnet_lite1", "size": 240},
            {"family": "densenet121", "strategy": "fedprox", "sites": 1, "size": 224},
        )
    },
    "names": {"sites": (("東京 $1$ <b>", 20), ("Universitätsklinikum Musterstadt, Klinik für Haut", 20))},
}


def against(second: str, difference: float, half: float, p_value: float, auc: float = 0.0) -> dict[str, Any]:
    """Return the test of the federated arm against another one."""
    accuracy = {"difference": difference, "ci95": [difference - half, difference + half], "p_value": p_value}
    area = {"difference": auc, "ci95": [auc - 0.02, auc + 0.02], "p_value": 0.001 if abs(auc) > 0.02 else 0.7}
    return {f"federated-{second}": {"first": "federated", "second": second, "accuracy": accuracy, "auc": area}}
