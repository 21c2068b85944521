"""Every function that `inject/sitecustomize.py` wraps is where it says, or no process of a fault test would start."""

import importlib.util
from pathlib import Path

import pytest

_PATH = Path(__file__).parent / "inject" / "sitecustomize.py"


def wrapped() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("faults_to_inject", _PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)  # wraps nothing: RAREFED_FAULTS is not set
    return {name: function for name, (function, _) in module._WRAPPED.items()}


@pytest.mark.parametrize(("module", "function"), wrapped().items())
def test_what_is_wrapped_exists(module: str, function: str) -> None:
    found = importlib.import_module(module)
    for part in function.split("."):
        found = getattr(found, part)
    assert callable(found)
