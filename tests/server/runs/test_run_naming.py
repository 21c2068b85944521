from pathlib import Path

from server.runs.run_naming import final_name, is_unfinished, reserve_run, unfinished, unfinished_runs


def test_runs_of_one_second_do_not_meet(tmp_path: Path) -> None:
    finals = [reserve_run(tmp_path, "a name/with: signs") for _ in range(5)]
    assert len(set(finals)) == 5
    assert all(final.parent == tmp_path and unfinished(final).is_dir() for final in finals)


def test_a_folder_has_two_names(tmp_path: Path) -> None:
    final = reserve_run(tmp_path, "x")
    assert final_name(unfinished(final)) == final_name(final) == final
    assert is_unfinished(unfinished(final))
    assert not is_unfinished(final)


def test_unfinished_runs_are_listed_newest_first(tmp_path: Path) -> None:
    for name in ("20260101-120000-a.unfinished", "20260102-120000-b", "20260103-120000-c.unfinished"):
        (tmp_path / name).mkdir()
    assert [folder.name[:8] for folder in unfinished_runs(tmp_path)] == ["20260103", "20260101"]
