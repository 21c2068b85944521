import json
from pathlib import Path

from server.runs.reading import RunView, find_run, latest_run, view_run
from tests.server.runs.written_run import entry, write_run


def test_runs_are_found_by_flowers_number(tmp_path: Path, view: RunView) -> None:
    write_run(tmp_path / "20260102-120000-b", [], run_id=8)
    (tmp_path / "latest").symlink_to("20260102-120000-b")
    found = find_run(tmp_path, 7)
    assert found == view
    assert find_run(tmp_path, 9) is None
    latest = latest_run(tmp_path)
    assert latest is not None
    assert latest.run_id == 8
    assert latest_run(tmp_path / "nothing") is None


def test_a_torn_or_empty_folder_is_no_error(tmp_path: Path) -> None:
    assert view_run(tmp_path).rounds == []
    (tmp_path / "rounds.jsonl").write_text(json.dumps(entry(1)) + "\n" + '{"round": 2, "sec')
    (tmp_path / "plan.json").write_text('{"plan": {"fed')
    assert [each["round"] for each in view_run(tmp_path).rounds] == [1]
