"""A file that cannot be read is named with the reason and the way to mend it."""

from pathlib import Path

import pytest

from common.system.unreadable import explain_unreadable


def explain(path: Path) -> str:
    with pytest.raises(OSError) as raised:
        path.read_bytes()
    told = explain_unreadable(path, raised.value)
    assert told.startswith(f"{path}: ")
    assert "\n" not in told
    return told.removeprefix(f"{path}: ")


def test_each_reason_has_its_way_to_mend_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("gone")
    missing = "No such file or directory"
    assert explain(Path("absent")) == (
        f"{missing}; looked for in {tmp_path}: check the name, or change to the file's folder"
    )
    assert explain(tmp_path / "absent") == f"{missing}: check the name, or put the file there"
    assert explain(tmp_path / "no" / "absent") == f"{missing}; there is no folder {tmp_path / 'no'}: check the name"
    assert explain(tmp_path / "link") == f"{missing}; it is a link to gone: mend the link, or name the file itself"
    assert explain(tmp_path) == "Is a directory: name the file in it"
    assert explain(Path("file/x")) == "Not a directory; file is a file: check the name"


def test_another_reason_stands_alone() -> None:
    assert explain_unreadable(Path("x"), OSError(5, "Input/output error")) == "x: Input/output error"


def test_who_may_not_read_a_file_is_named_also_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = PermissionError(13, "Permission denied")
    monkeypatch.setattr("os.geteuid", lambda: 4_000_000)
    assert explain_unreadable(Path("x"), denied) == (
        "x: Permission denied to uid 4000000: run this as another user, or change the file's owner or mode"
    )
