"""The report: complete, honest, self-contained, and safe to open whatever a hospital calls its files."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from common.errors import InputError
from common.metrics import PairedTest, mcnemar_test
from simulations.report import write_report
from simulations.summary import Summary, compare_paired, read_predictions, read_summary
from simulations.table import render_table
from simulations.verdict import reach_verdict
from tests.simulations.invented_runs import write_run

RunFactory = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> RunFactory:
    """Return `write_run` with a folder of its own for every call."""

    def make(**options: Any) -> Path:
        folder = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        write_run(folder, **options)
        return folder

    return make


VOID = {"meta", "br", "hr", "img", "link", "input"}
THREE = ("nevus", "dermatofibroma", "vascular lesion")


class Page(HTMLParser):
    """Reads a page, and complains about a tag that is not closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), f"an event handler: {name}"
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href"):
                self.targets.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def draw(run: Path) -> tuple[str, Page]:
    content = write_report(run).read_text(encoding="utf-8")
    return content, Page(content)


CASES: dict[str, dict[str, Any]] = {
    "binary": {"synthetic": True, "excluded": [("north/bad.png", "truncated JPEG")]},
    "three classes": {"classes": THREE, "labels_as": "index"},
    "seven classes": {"classes": [f"class {number}" for number in range(7)]},
    "one-class sites": {"one_class": ("north", "west")},
    "one class only": {"sites": (("a", 3), ("b", 1)), "one_class": ("a", "b")},
    "no test image": {"sites": (("a", 0),)},
    "no site": {"sites": ()},
    "no arm": {"arms": ()},
    "federated only": {"arms": ("federated",)},
    "local only": {"arms": ("local",)},
    "no federated": {"arms": ("centralized", "local")},
    "many sites": {"sites": [(f"site {number}", 8) for number in range(25)]},
    "names": {"sites": (("東京 $1$ <b>", 20), ("Universitätsklinikum Musterstadt, Klinik für Haut", 20))},
}


@pytest.mark.parametrize("case", CASES)
def test_every_study_gets_a_whole_page_that_refers_to_nothing_outside(case: str, make_run: RunFactory) -> None:
    content, page = draw(make_run(**CASES[case]))
    assert "http" not in re.sub(r"<meta http-equiv", "", content)
    assert "//" not in content
    assert "@import" not in content
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", content))
    assert all(target.startswith("#") for target in page.targets)
    assert not {"script", "link", "iframe", "img", "object", "form", "base"} & set(page.seen)
    assert len(page.ids) == len(set(page.ids))
    assert {target[1:] for target in page.targets} <= set(page.ids)
    assert not re.search(r"#0[123]fe0\d", content), "a colour code was left in a figure"
    assert "None" not in page.words
    assert not re.search(r"\bnan\b", content)


def test_the_page_holds_the_numbers(make_run: RunFactory) -> None:
    run = make_run(excluded=[("north/bad.png", "truncated JPEG")])
    summary = json.loads((run / "summary.json").read_text())
    words = draw(run)[1].words
    for arm in summary["arms"].values():
        assert f"{arm['correct']}/{arm['total']}" in words
        assert f"{100 * arm['accuracy']:.1f} %" in words
        assert f"{arm['auc']:.3f}" in words
        low, high = arm["ci95"]["sensitivity"]
        assert f"{100 * low:.0f}–{100 * high:.0f}" in words
        for found in arm["per_site"].values():
            assert f"{found['correct']}/{found['total']}" in words
    for model in summary["arms"]["local"]["models"].values():
        assert f"{model['correct']}/{model['total']}" in words
    for said in ("10.7 MB", "13.5 MB", "2.06 GB", "north/bad.png", "truncated JPEG", "learning_rate", "5e" * 32):
        assert said in words
    assert f"got {summary['arms']['federated']['correct']} of 200 test images right" in words
    assert "One image is 0.5 points" in words


def test_only_synthetic_data_is_called_synthetic(make_run: RunFactory) -> None:
    assert "Synthetic data." in draw(make_run(synthetic=True))[1].words
    assert "ynthetic" not in draw(make_run(synthetic=False))[1].words


def test_hostile_names_stay_text(make_run: RunFactory) -> None:
    attack = "<script>alert(1)</script>"
    quote = '"><svg onload=alert(1)>'
    run = make_run(
        name=attack,
        sites=((attack, 20), (quote, 20)),
        classes=("negative", attack),
        excluded=[(attack, quote)],
        image_name=attack + "{index}",
    )
    content, page = draw(run)
    assert "script" not in page.seen
    assert "<script" not in content
    assert page.words.count(attack) >= 4


def test_the_report_can_be_redrawn_and_is_the_same(make_run: RunFactory) -> None:
    run = make_run()
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first
    assert sorted(path.name for path in run.iterdir()) == ["predictions.csv", "report.html", "summary.json"]


def test_labels_may_be_names_or_indices(make_run: RunFactory) -> None:
    named, indexed = (
        read_predictions(make_run(labels_as=form), ["negative", "positive"]) for form in ("name", "index")
    )
    assert named["federated"].labels.tolist() == indexed["federated"].labels.tolist()
    assert named["local"].own().sum() == 200


def test_a_broken_run_folder_is_one_clear_line(make_run: RunFactory, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"summary\.json: No such file"):
        write_report(tmp_path / "nowhere")
    run = make_run()
    summary = json.loads((run / "summary.json").read_text())
    predictions = (run / "predictions.csv").read_text()

    (run / "predictions.csv").write_text(predictions.replace("north,north/000.png", "north", 1))
    with pytest.raises(InputError, match="line 2 is not a prediction"):
        write_report(run)
    (run / "predictions.csv").unlink()
    with pytest.raises(InputError, match=r"predictions\.csv: No such file"):
        write_report(run)

    del summary["arms"]["federated"]["correct"]
    (run / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(InputError, match=r"arms\.federated\.correct") as caught:
        write_report(run)
    assert "\n" not in str(caught.value)
    (run / "summary.json").write_text("{")
    with pytest.raises(InputError, match="the file"):
        write_report(run)


def test_arms_are_paired_by_image_and_not_by_line(make_run: RunFactory) -> None:
    run = make_run()
    found = read_predictions(run, ["negative", "positive"])
    reversed_rows = found["centralized"].select((found["centralized"].labels >= 0)[::-1])
    order = list(range(len(reversed_rows.image)))[::-1]
    shuffled = type(reversed_rows)(
        [reversed_rows.model[row] for row in order],
        [reversed_rows.site[row] for row in order],
        [reversed_rows.image[row] for row in order],
        reversed_rows.labels[order],
        reversed_rows.predicted[order],
        reversed_rows.probabilities[order],
    )
    expected = compare_paired(found, "federated", "centralized")
    assert expected is not None
    assert compare_paired(found | {"centralized": shuffled}, "federated", "centralized") == expected
    # Every image stands in the local arm once per model, so that nothing pairs with it as it is.
    assert compare_paired(found, "federated", "local") is None
    assert compare_paired(found, "federated", "absent") is None


def test_the_verdict_claims_a_difference_only_where_there_is_one(make_run: RunFactory) -> None:
    summary = read_summary(make_run())
    clear = mcnemar_test([True] * 20 + [False] * 2, [False] * 20 + [True] * 2)
    assert "in favour of federated training" in reach_verdict(summary, {"centralized": clear}).comparisons[0]
    lost = PairedTest(clear.only_second, clear.only_first, clear.total, clear.p_value)
    assert "in favour of each hospital alone" in reach_verdict(summary, {"local": lost}).comparisons[0]
    close = mcnemar_test([True, False], [False, True])
    assert "show no difference" in reach_verdict(summary, {"local": close}).comparisons[0]
    same = mcnemar_test([True], [True])
    assert "exactly the same" in reach_verdict(summary, {"local": same}).comparisons[0]


@pytest.mark.parametrize("case", CASES)
def test_the_terminal_table_fits_100_columns_and_holds_no_colour_when_piped(case: str, make_run: RunFactory) -> None:
    summary = json.loads((make_run(**CASES[case]) / "summary.json").read_text())
    console = Console(width=100, force_terminal=False, record=True)
    with console.capture() as capture:
        console.print(render_table(summary))
    text = capture.get()
    assert "\x1b" not in text
    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= 100
    for arm in Summary.model_validate(summary).arms.values():
        if arm.total:
            assert f"{arm.correct:.0f}/{arm.total}" in text
    for site in summary["dataset"]["sites"]:
        assert site["name"].split()[0] in text
