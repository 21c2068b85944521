"""Lines of progress."""

from simulations.study.progress import StudyProgress


def test_progress_tells_the_share_and_the_time_left() -> None:
    lines: list[str] = []
    progress = StudyProgress(200, lines.append)
    progress.step(50, "one")
    progress.step(50, None)
    progress.step(60, "two")
    progress.step(100, "more than planned")
    progress.say("done")
    assert lines[0] == "[ 25%          ] one"
    assert lines[1].startswith("[ 80%  0:00 left] two")
    assert lines[2].startswith("[100%  0:00 left] more")
    assert lines[3] == "done"


def test_work_that_is_done_already_does_not_count() -> None:
    lines: list[str] = []
    progress = StudyProgress(200, lines.append)
    progress.skip(100)
    progress.step(50, "half of the rest")
    assert lines == ["[ 50%          ] half of the rest"]
