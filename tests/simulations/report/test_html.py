"""The page and the files beside it: complete, self-contained, and safe whatever a hospital calls its files."""

import csv
import json
import re
import xml.etree.ElementTree
from pathlib import Path

import pytest
from PIL import Image

from common.errors import InputError
from common.summary.summary import Summary
from common.summary.summary_file import read_summary
from simulations.report.html import write_report
from simulations.report.run_comparison import compare_runs, write_comparison
from simulations.report.terminal import render_table
from tests.simulations.report.cases import ALL_ARMS, CASES, SUFFERING, SWEEP, RunFactory
from tests.simulations.report.reading import Page, draw, printed, shown


@pytest.mark.parametrize("case", CASES)
def test_reading_a_summary_loses_no_key(case: str, make_run: RunFactory) -> None:
    content = json.loads((make_run(**CASES[case]) / "summary.json").read_text())
    assert Summary.model_validate(content).to_json() == content


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


def test_how_the_images_were_read_is_said(make_run: RunFactory) -> None:
    run = make_run()
    summary = json.loads((run / "summary.json").read_text())
    summary["dataset"]["notes"] = ["noise filter: median for 190 grey images", "3 files found, 2 used"]
    (run / "summary.json").write_text(json.dumps(summary))
    assert "noise filter: median for 190 grey images; 3 files found, 2 used" in draw(run)[1].words


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


@pytest.mark.slow
def test_the_report_can_be_redrawn_and_is_the_same(make_run: RunFactory) -> None:
    run = make_run(arms=("federated",))
    first = write_report(run)
    content = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert write_report(run) == first
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == content
    names = {path.name for path in run.iterdir()}
    assert names == {"predictions.csv", "report.html", "summary.json", "figures", "tables"}


@pytest.mark.slow
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
