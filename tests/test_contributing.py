"""CONTRIBUTING.md sends nobody to a place that is not there, and leaves no wing out."""

import re

from tests.places import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()


def test_every_path_of_the_page_exists() -> None:
    paths = re.findall(r"`((?:common|client|server|simulations|tests|deploy)/[\w/.]*)`", PAGE)
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_wing_is_named() -> None:
    for package in ("common", "client", "server", "simulations"):
        (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{package}`:")]
        wings = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
        assert wings == set(re.findall(r"`(\w+)`", row)) - {package, "pyproject.toml"}
