"""The report: complete, honest, self-contained, and safe to open whatever a hospital calls its files."""

import csv
import json
import re
import xml.etree.ElementTree
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from simulations.report.sweep_tables import sweep_tables

from common.errors import InputError
from common.evaluation.roc import roc_curve
from common.summary.comparison import PairedTestRecord
from common.summary.summary import Summary
from common.summary.summary_file import read_summary
from simulations.analysis.predictions import Predictions
from simulations.analysis.predictions_csv import read_predictions
from simulations.analysis.roc_bands import mean_curve, roc_band
from simulations.report import run_comparison
from simulations.report.html import render_report, table_csv, write_report
from simulations.report.run_comparison import align, compare_runs, write_comparison
from simulations.report.tables.arm_tables import sites_table
from simulations.report.terminal import TABLE_WIDTH, render_faults, render_table
from simulations.report.verdict import Verdict, reach_verdict
from tests.simulations.report.invented_runs import write_run

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


VOID = {"meta", "br", "hr", "img", "link", "input", "wbr"}
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
    """Return the page without the files beside it, which take longer than the page."""
    summary = read_summary(run)
    content = render_report(summary, read_predictions(run, summary.dataset.classes))
    return content, Page(content)


ALL_ARMS = ("centralized", "federated", "local", "probe", "scratch")


SWEEP: dict[str, Any] = {
    "arms": ALL_ARMS,
    "variants": (
        {},
        {"family": "resnet50"},
        {"strategy": "fedprox"},
        {"partition": "iid", "sites": 8},
        {"family": "densenet121", "strategy": "fedprox", "sites": 1},
    ),
    "missing": (("vgg16", "no pretrained weights for vgg16 in a folder of staged weights: stage them with a command"),),
}
SUFFERING = {"dropout": 0.3, "hostile_sites": 1, "hostile": "flipped"}
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
    "faults": {"faults": SUFFERING, "variants": ({}, {"faults": "30 % drop out"}, {"faults": "1 hostile, flipped"})},
    "many sites": {"sites": [(f"site {number}", 8) for number in range(25)]},
    "all arms, repeated": {"arms": ALL_ARMS, "folds": 5, "repeats": 3},
    "folds of one class": {"folds": 5, "repeats": 2, "sites": (("a", 4), ("b", 3)), "one_class": ("b",)},
    "no gap": {"arms": ("federated", "local", "probe"), "classes": THREE, "folds": 5},
    "sweep": SWEEP,
    "sweep of three classes": SWEEP | {"classes": THREE, "folds": 5},
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
    assert "#01fe" not in content, "a colour code was left in a figure"
    assert "None" not in page.words
    assert not re.search(r"\bnan\b", content)


def test_the_page_holds_the_numbers(make_run: RunFactory) -> None:
    run = make_run(excluded=[("north/bad.png", "truncated JPEG")], arms=ALL_ARMS, folds=5, repeats=3)
    summary = json.loads((run / "summary.json").read_text())
    words = draw(run)[1].words
    for arm in [*summary["arms"].values(), summary["arms"]["local"]["on_all_sites"]]:
        assert f"{shown(arm['correct'])}/{arm['total']}" in words
        assert f"{100 * arm['accuracy']:.1f} %" in words
        assert f"{arm['auc']:.3f}" in words
        assert f"{arm['ece']:.3f}" in words
        low, high = arm["ci95"]["sensitivity"]
        assert f"{100 * low:.0f}–{100 * high:.0f}" in words
        for found in arm.get("per_site", {}).values():
            assert f"{shown(found['correct'])}/{found['total']}" in words
        for row in arm["confusion"]:
            assert all(shown(count) in words for count in row)
    for model in summary["arms"]["local"]["models"].values():
        assert f"{shown(model['correct'])}/{model['total']}" in words
    for test in summary["tests"].values():
        assert f"{abs(100 * test['accuracy']['difference']):.1f}" in words
    for said in ("10.7 MB", "13.5 MB", "2.06 GB", "north/bad.png", "truncated JPEG", "learning_rate", "5e" * 32):
        assert said in words
    assert f"got {shown(summary['arms']['federated']['correct'])} of 200 test images right" in words
    assert "means of 3 repeats" in words
    assert f"closed {100 * summary['gap_closed']['accuracy']['value']:.0f} %" in words
    assert "One image is 0.5 points" in words
    assert "No pretraining" in words
    assert "Linear probe on frozen features" in words


def shown(count: float) -> str:
    """Return a mean count as the report shows it."""
    return f"{count:.1f}".removesuffix(".0")


def test_a_sweep_is_shown_by_what_varies_and_a_missing_family_says_why(make_run: RunFactory) -> None:
    words = draw(make_run(**SWEEP))[1].words
    for title in (
        "Families: correct predictions and accuracy",
        "Families: “positive” found, and sensitivity",
        "Families: errors and error rate",
        "Families: further rates",
        "Families: cost",
        "Strategies of the federation",
        "Partitions and numbers of sites: accuracy",
        "All variants: accuracy",
    ):
        assert title in words
    assert "not run: no pretrained weights for vgg16" in words
    alone = sweep_tables(read_summary(make_run(missing=SWEEP["missing"], variants=({},))))
    assert all(table.rows[-1].reason.startswith("not run: no pretrained") for table in alone)
    assert sweep_tables(read_summary(make_run())) == []


def test_only_synthetic_data_is_called_synthetic(make_run: RunFactory) -> None:
    assert "Synthetic data." in draw(make_run(synthetic=True))[1].words
    assert "ynthetic" not in draw(make_run(synthetic=False))[1].words


def test_whoever_sees_numbers_of_a_disturbed_federation_reads_that_it_was(make_run: RunFactory) -> None:
    run, calm = make_run(faults=SUFFERING), make_run()
    page = write_comparison([run, calm], run / "compared.html").read_text()
    terminal = printed(render_table(read_summary(run)))
    texts = [draw(run)[1].words, Page(page).words, terminal, printed(compare_runs([run, calm]))]
    for text in texts:
        words = " ".join(text.split())
        assert words.count("lost with a probability of 30 %") == 1 + words.count("A disturbed federation.")
        assert "1 of 4 hospitals was hostile on purpose, and sent its update with the sign flipped" in words
    assert "on purpose" not in draw(calm)[1].words


def test_a_table_says_what_faults_cost_and_leaves_them_out_of_the_others(make_run: RunFactory) -> None:
    test = against("centralized", -0.025, 0.02, 0.4)["federated-centralized"]
    faulty = {"faults": "1 hostile, flipped", "against": {"same": test}, "replies": {"expected": 300, "left_out": 7}}
    run = make_run(variants=({}, {"strategy": "krum"}, faulty, faulty | {"strategy": "krum"}), synthetic=True)
    summary = read_summary(run)
    strategies, table = sweep_tables(summary)
    assert [row.cells[0].text for row in strategies.rows] == ["fedavg", "krum"]
    cells = [[cell.text for cell in row.cells] for row in table.rows]
    assert [row[:2] for row in cells] == [
        ["fedavg", "none"],
        ["krum", "none"],
        ["fedavg", "1 hostile, flipped"],
        ["krum", "1 hostile, flipped"],
    ]
    assert cells[0][4:] == ["–", "–", "–"]
    assert cells[2][4:] == ["−2.5", "–", "7/300"]
    (alone,) = sweep_tables(read_summary(make_run(variants=({}, faulty))))
    assert [heading.text for heading in alone.columns][4:] == ["Against none", "Not used"]
    text = printed(render_faults(summary))
    assert "Synthetic data" in text
    assert "4 hospitals (natural), 24 rounds" in text
    assert "hostile" in draw(run)[1].words


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
    run = make_run(arms=("federated",))
    first = write_report(run)
    content = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert write_report(run) == first
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == content
    names = {path.name for path in run.iterdir()}
    assert names == {"predictions.csv", "report.html", "summary.json", "figures", "tables"}


def test_figures_and_tables_lie_beside_the_page_for_a_paper(make_run: RunFactory) -> None:
    run = make_run(**SWEEP | {"folds": 5, "repeats": 2})
    write_report(run)
    drawn = sorted(path.stem for path in (run / "figures").glob("*.png"))
    assert drawn == sorted(path.stem for path in (run / "figures").glob("*.svg"))
    assert {"roc", "differences-accuracy", "site-accuracy", "reliability-probe", "confusion-local-all"} <= set(drawn)
    for name in drawn:
        vector = (run / "figures" / f"{name}.svg").read_text()
        assert xml.etree.ElementTree.fromstring(vector).tag.endswith("svg")
        assert "#01fe" not in vector
        with Image.open(run / "figures" / f"{name}.png") as image:
            assert round(image.info["dpi"][0]) == 300
            assert image.convert("RGB").getpixel((1, 1)) == (255, 255, 255)
    for path in (run / "tables").glob("*.csv"):
        rows = list(csv.reader(path.open(encoding="utf-8")))
        assert len(rows) > 1
        assert all(len(row) == len(rows[0]) or row[-1].startswith("not run") for row in rows)
    assert (run / "tables" / "families-errors.csv").exists()


def test_no_cell_of_a_csv_file_is_taken_for_a_formula(make_run: RunFactory) -> None:
    run = make_run(sites=(("=1+1", 30), ("@site", 30)))
    text = table_csv(sites_table(read_summary(run)))
    assert "\n'=1+1," in text
    assert "\n'@site," in text


def test_predictions_become_panels_of_the_same_images(make_run: RunFactory) -> None:
    classes = ["negative", "positive"]
    panels = read_predictions(make_run(arms=ALL_ARMS, folds=5, repeats=3), classes)
    assert set(panels) == {*ALL_ARMS, "local-all"}
    for key, panel in panels.items():
        sets = 12 if key == "local-all" else 3
        assert panel.probabilities.shape == (sets, 200, 2)
        assert panel.folds.shape == (sets, 200)
        assert sorted(set(panel.repeats.tolist())) == [0, 1, 2]
        for name in ("images", "sites", "patients", "labels"):
            assert (getattr(panel, name) == getattr(panels["federated"], name)).all()
    everywhere = panels["local-all"]
    # At home: of every hospital's model, its own images.
    for repeat in range(3):
        of_repeat = everywhere.of_repeat(repeat).probabilities
        own = panels["local"].of_repeat(repeat).probabilities[0]
        assert all((of_repeat[:, image] == own[image]).all(axis=1).any() for image in range(200))


def test_panels_and_summary_agree(make_run: RunFactory) -> None:
    run = make_run(arms=ALL_ARMS, repeats=3)
    summary, panels = read_summary(run), read_predictions(run, ["negative", "positive"])
    for key, arm in summary.arms.items():
        right = (panels[key].predicted == panels[key].labels).sum(axis=1)
        assert right.mean() == pytest.approx(arm.correct)
        curve = mean_curve(panels[key])
        assert curve is not None
        if key != "local":
            assert curve.area() == pytest.approx(arm.auc)


def test_labels_may_be_names_or_indices(make_run: RunFactory) -> None:
    named, indexed = (
        read_predictions(make_run(labels_as=form), ["negative", "positive"]) for form in ("name", "index")
    )
    assert named["federated"].labels.tolist() == indexed["federated"].labels.tolist()


def test_patients_of_two_hospitals_with_one_name_stay_apart(make_run: RunFactory) -> None:
    run = make_run(sites=(("a", 4), ("b", 4)))
    path = run / "predictions.csv"
    path.write_text(path.read_text().replace(",b-0,", ",a-0,"))
    patients = read_predictions(run, ["negative", "positive"])["federated"].patients.tolist()
    assert patients == ["a: a-0", "a: a-0", "a-1", "a-1", "b: a-0", "b: a-0", "b-1", "b-1"]


def test_a_tie_by_rounding_is_what_was_predicted(make_run: RunFactory) -> None:
    run = make_run(sites=(("a", 3),), arms=("federated",))
    header = (run / "predictions.csv").read_text().splitlines()[0]
    lines = [f"federated,,0,0,a,{index},{index},negative,positive,0.500000,0.500000" for index in range(3)]
    (run / "predictions.csv").write_text("\n".join([header, *lines]))
    assert read_predictions(run, ["negative", "positive"])["federated"].predicted.tolist() == [[1, 1, 1]]


def test_a_broken_run_folder_is_one_clear_line(make_run: RunFactory, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"summary\.json: No such file"):
        write_report(tmp_path / "nowhere")
    run = make_run()
    summary = json.loads((run / "summary.json").read_text())
    predictions = (run / "predictions.csv").read_text()

    lines = predictions.splitlines(keepends=True)
    broken = {
        predictions.replace("north,north/000.png", "north", 1): "line 2 is not a prediction",
        "".join([*lines[:3], lines[2], *lines[3:]]): "line 4 predicts the image of line 3 again",
        "".join([lines[0], *lines[2:]]): "has no prediction for north/000.png",
        predictions.replace("arm,model,repeat,fold", "arm,model,x,y"): "another version",
        re.sub(r"(positive|negative),0\.\d+,0\.\d+", r"\1,0.1,nan", predictions, count=1): "line 2 is not a prediction",
    }
    for text, message in broken.items():
        (run / "predictions.csv").write_text(text)
        with pytest.raises(InputError, match=message) as caught:
            write_report(run)
        assert "\n" not in str(caught.value)
    (run / "predictions.csv").unlink()
    with pytest.raises(InputError, match=r"predictions\.csv: No such file"):
        write_report(run)

    summary["arms"]["federated"]["correct"] = "many"
    (run / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(InputError, match=r"arms\.federated\.correct") as caught:
        write_report(run)
    assert "\n" not in str(caught.value)
    (run / "summary.json").write_text("{")
    with pytest.raises(InputError, match="the file is no JSON"):
        write_report(run)
    del summary["study"]
    (run / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(InputError, match="written by another version of rarefed; run it again"):
        write_report(run)


def judge(run: Path, **changes: Any) -> Verdict:
    """Return the verdict on a study in which something at the top level is changed."""
    return reach_verdict(Summary.model_validate(json.loads((run / "summary.json").read_text()) | changes))


def against(second: str, difference: float, half: float, p_value: float, auc: float = 0.0) -> dict[str, Any]:
    """Return the test of the federated arm against another one."""
    accuracy = {"difference": difference, "ci95": [difference - half, difference + half], "p_value": p_value}
    area = {"difference": auc, "ci95": [auc - 0.02, auc + 0.02], "p_value": 0.001 if abs(auc) > 0.02 else 0.7}
    return {f"federated-{second}": {"first": "federated", "second": second, "accuracy": accuracy, "auc": area}}


def test_the_verdict_claims_a_difference_only_where_there_is_one(make_run: RunFactory) -> None:
    run = make_run(arms=ALL_ARMS)
    cases = {
        "in favour of federated training": against("centralized", 0.09, 0.04, 0.0002),
        "in favour of the linear probe": against("probe", -0.09, 0.04, 0.0002),
        "in favour of federated training; the AUC says the opposite": against("local", 0.09, 0.04, 0.001, auc=-0.05),
        "These 200 images cannot tell the two apart": against("centralized", -0.01, 0.04, 0.6),
        # One that the interval and the test do not agree on is none.
        "200 images cannot tell the two apart": against("centralized", 0.05, 0.04, 0.06),
        "by AUC federated training ranks them better": against("scratch", 0.01, 0.04, 0.6, auc=0.05),
        "got equally many images right": against("local-all", 0.0, 0.04, 1.0),
        "got 1 fewer of 200 images right than": against("centralized", -0.005, 0.04, 0.8),
    }
    for said, tests in cases.items():
        assert said in judge(run, tests=tests).findings[0]
    untested = against("probe", 0.0, 0.04, 1.0)
    untested["federated-probe"] |= {"accuracy": None, "auc": None}
    assert "could not be tested" in judge(run, tests=untested).findings[0]
    clear = judge(run, tests=cases["in favour of federated training"]).limits[0]
    assert "cannot tell" not in clear
    close = judge(run, tests=cases["These 200 images cannot tell the two apart"]).limits[0]
    assert "differences below about 4 points are noise" in close
    assert "up to 5.0 points worse or 3.0 points better" in close


def test_the_verdict_says_how_much_of_the_gap_was_closed_or_why_it_cannot(make_run: RunFactory) -> None:
    run = make_run()
    cases: dict[str, dict[str, Any] | None] = {
        "Federating closed 97 % (85 to 110\xa0%) of the gap": {"value": 0.97, "ci95": [0.85, 1.1], "reason": None},
        "so it may have closed none of it": {"value": 0.4, "ci95": [-0.2, 1.1], "reason": None},
        "Federating closed −20 % (−90 to 30\xa0%)": {"value": -0.2, "ci95": [-0.9, 0.3], "reason": None},
        "cannot be said: the gap is too small": {"value": None, "ci95": None, "reason": "the gap is too small"},
        "(no interval: too few draws)": {"value": 0.5, "ci95": None, "reason": "too few draws"},
    }
    for said, gap in cases.items():
        assert said in judge(run, gap_closed={"accuracy": gap, "auc": gap}).gap
    assert judge(run, gap_closed=None).gap == ""


def test_the_verdict_says_how_often_was_tested_and_on_whom(make_run: RunFactory) -> None:
    once = " ".join(judge(make_run(folds=5)).limits)
    assert "1 repeat of 5-fold cross-validation: every image was tested once" in once
    assert "The 200 images come from 180 patients; the intervals draw patients" in once
    thrice = " ".join(judge(make_run(folds=5, repeats=3)).limits)
    assert "every image was tested 3 times" in thrice
    assert "From repeat to repeat" in thrice
    assert "One split" in " ".join(judge(make_run()).limits)
    assert "synthetic" in " ".join(judge(make_run(synthetic=True)).limits)
    worst = judge(make_run()).findings[-1]
    assert worst.startswith("Least accurate site: federated training at ")


def test_a_band_surrounds_its_curve_and_narrows_with_more_patients() -> None:
    generator = np.random.default_rng(3)

    def panel(images: int) -> Predictions:
        labels = generator.integers(0, 2, images)
        scores = (1 / (1 + np.exp(-generator.normal(1.5 * (2 * labels - 1), 1.5)))).round(3)
        names = np.array([str(index) for index in range(images)])
        zeros = np.zeros((1, images), dtype=np.int64)
        both = np.stack([1 - scores, scores], axis=1)[None]
        return Predictions(names, names, names, labels, np.zeros(1, dtype=np.int64), zeros, both)

    widths = []
    for images in (60, 600):
        drawn = panel(images)
        grid, low, high = roc_band(drawn)
        curve = roc_curve(drawn.labels, drawn.probabilities[0])
        assert curve is not None
        height = np.interp(grid[1:-1], curve.false_positive_rate, curve.true_positive_rate)
        assert ((low[1:-1] <= height + 0.02) & (height <= high[1:-1] + 0.02)).all()
        widths.append(float((high - low).mean()))
        assert (roc_band(drawn)[1] == low).all()
    assert widths[1] < widths[0] / 2


def printed(renderable: Any) -> str:
    console = Console(width=TABLE_WIDTH, force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_runs_stand_side_by_side_with_what_differs(make_run: RunFactory, tmp_path: Path) -> None:
    one, other = make_run(arms=ALL_ARMS, rounds=24), make_run(rounds=12, seed=5, repeats=3, folds=5)
    text = printed(compare_runs([one, other]))
    assert max(len(line) for line in text.splitlines()) <= TABLE_WIDTH
    assert "federation.rounds" in text
    assert "learning_rate" not in text
    for run in (one, other):
        found = json.loads((run / "summary.json").read_text())["arms"]["federated"]
        assert f"{shown(found['correct'])}/200" in text
    page = Page(write_comparison([one, other], tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "federation.rounds" in page.words
    assert "on the same images" not in page.words
    assert not {"script", "link", "iframe", "img"} & set(page.seen)
    with pytest.raises(InputError, match="name 2 to 26"):
        compare_runs([one])


def test_runs_are_paired_where_they_tested_the_same_images(
    make_run: RunFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, same, other = make_run(), make_run(seed=5, repeats=2), make_run(truth_seed=9)
    seen: list[tuple[int, int]] = []

    def compare(first: Predictions, second: Predictions, *rest: Any) -> PairedTestRecord:
        assert (first.images == second.images).all()
        assert (first.labels == second.labels).all()
        seen.append((len(first.repeats), len(second.repeats)))
        return PairedTestRecord(**against("centralized", 0.01, 0.02, 0.4)["federated-centralized"])

    monkeypatch.setattr(run_comparison, "compare_predictions", compare)
    text = printed(compare_runs([one, same, other]))
    assert "A minus B, on the same images" in text
    assert "A minus C" not in text
    assert seen == [(1, 2), (1, 2), (1, 2), (4, 8)]


def test_images_are_aligned_by_name_and_not_by_line(make_run: RunFactory) -> None:
    run = make_run()
    panel = read_predictions(run, ["negative", "positive"])["federated"]
    turned = Predictions(
        panel.images[::-1],
        panel.sites[::-1],
        panel.patients[::-1],
        panel.labels[::-1],
        panel.repeats,
        panel.folds[:, ::-1],
        panel.probabilities[:, ::-1],
    )
    aligned = align(panel, turned)
    assert aligned is not None
    assert (aligned.probabilities == panel.probabilities).all()
    assert align(panel, turned.of_images(turned.labels == 1)) is None


@pytest.mark.parametrize("case", CASES)
def test_the_terminal_table_fits_its_width_and_holds_no_colour_when_piped(case: str, make_run: RunFactory) -> None:
    summary = read_summary(make_run(**CASES[case]))
    console = Console(width=TABLE_WIDTH, force_terminal=False, record=True)
    with console.capture() as capture:
        console.print(render_table(summary))
    text = capture.get()
    assert "\x1b" not in text
    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= TABLE_WIDTH
    for arm in summary.arms.values():
        if arm.total:
            assert f"{shown(arm.correct)}/{arm.total}" in text
    for site in summary.dataset.sites:
        assert site.name.split()[0] in text
