"""What is said of a machine's resources."""

from pathlib import Path

from common.system.resources import lack_of_room


def test_a_folder_without_room_is_named_with_the_way_out(tmp_path: Path) -> None:
    assert lack_of_room(tmp_path, 0) == ""
    assert lack_of_room(tmp_path, 1e9).startswith(f"; {tmp_path} is full: free some space there, or set TMPDIR")
