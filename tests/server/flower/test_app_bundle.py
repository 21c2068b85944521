import shutil
import tomllib
from pathlib import Path

from common.plan.training_plan import TrainingPlan
from server.flower.app_bundle import RESUME_KEY, app_folder, app_hash
from tests.places import ROOT


def test_its_defaults_are_the_plans() -> None:
    with (app_folder() / "pyproject.toml").open("rb") as stream:
        nested = tomllib.load(stream)["tool"]["flwr"]["app"]["config"]
    flat = {f"{group}.{key}": value for group, values in nested.items() for key, value in values.items()}
    assert flat.pop(RESUME_KEY) == ""
    assert flat == TrainingPlan().flat()


def test_its_hash_is_the_same_in_a_checkout_and_in_a_wheel(tmp_path: Path) -> None:
    for name in ("app", "app_bundle"):
        (tmp_path / name).mkdir()
        shutil.copy(app_folder() / "pyproject.toml", tmp_path / name)
    hashes = {app_hash(folder) for folder in (app_folder(), tmp_path / "app", tmp_path / "app_bundle")}
    assert len(hashes) == 1
    assert len(hashes.pop()) == 64


def test_the_wheel_carries_it_where_the_server_looks() -> None:
    with (ROOT / "pyproject.toml").open("rb") as stream:
        included = tomllib.load(stream)["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included["deploy/app/pyproject.toml"] == "server/app_bundle/pyproject.toml"
