"""The threat model names tests; each must be there."""

import re

import pytest

from tests.places import ROOT

PAGE = (ROOT / "deploy" / "SECURITY.md").read_text()
SOURCES = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(tests/[\w/.]+|test_\w+)", PAGE))))
def test_every_test_that_the_page_names_is_there(named: str) -> None:
    assert (ROOT / named).exists() if named.startswith("tests/") else f"def {named}(" in SOURCES
