"""Every function that `inject/sitecustomize.py` wraps is where it says, or no process of a fault test would start."""

import importlib
import runpy

import pytest

from tests.production.small import INJECT

_INJECTED = runpy.run_path(str(INJECT / "sitecustomize.py"))  # wraps nothing: its name is another
WRAPPED = _INJECTED["_HURRIED"] | _INJECTED["_STOPPED"]


@pytest.mark.parametrize("module", WRAPPED)
def test_what_is_wrapped_exists(module: str) -> None:
    found = importlib.import_module(module)
    for part in WRAPPED[module][0].split("."):
        found = getattr(found, part)
