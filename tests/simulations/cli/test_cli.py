"""`rarefed-sim` on bad input: one line, exit code 2; and its small commands."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import client.cli.main
import server.cli.main
import simulations.cli.main
from common.plan.training_plan import TrainingPlan
from simulations.cli.options import chosen_preset, parse_plan
from simulations.study.description import describe_length, describe_variant
from simulations.study.variants import Variant
from tests.federation.data import manifest
from tests.simulations.report.invented_runs import write_run

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, main: Callable[[], None] = simulations.cli.main.main) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rarefed", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def picture(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def class_folders(root: Path, classes: tuple[str, ...] = ("negative", "positive"), images: int = 6) -> None:
    for number in range(images):
        for index, name in enumerate(classes):
            picture(root / name / f"{number}.png", 100 * index + number)


def csv_of(root: Path, lines: list[str]) -> None:
    class_folders(root / "images")
    rows = [f"images/{name}/{number}.png,{name}" for name in ("negative", "positive") for number in range(6)]
    (root / "manifest.csv").write_text("\n".join(["path,label", *rows, *lines]) + "\n")


def empty(root: Path) -> None:
    root.mkdir()


def escaping(root: Path) -> None:
    csv_of(root, ["../outside.png,negative"])
    picture(root.parent / "outside.png")


@pytest.mark.parametrize(
    ("make", "options", "said"),
    [
        (None, [], "there is no such folder or file"),
        (empty, [], "no images"),
        (lambda root: class_folders(root, ("positive",)), [], "holds only the class 'positive'"),
        (lambda root: csv_of(root, ["images/negative/99.png,negative"]), [], "99.png"),
        (lambda root: csv_of(root, ["images/x/../negative/1.png,negative"]), [], "images/negative/1.png"),
        (escaping, [], "outside.png"),
        (class_folders, ["--sites", "13"], "study.sites = 13, but there are only 12 patients"),
        (class_folders, ["--set", "training.learningrate=1"], "did you mean 'training.learning_rate'?"),
        (class_folders, ["--arms", "federated,centralised"], "study.arms names 'centralised'; did you mean"),
        (class_folders, ["--recipes", "raw data.denoise=none"], "is not NAME: KEY=VALUE"),
        (class_folders, ["--quick", "--best"], "--quick and --best exclude each other"),
        (class_folders, ["--set", "training.seed=x"], "training.seed = 'x'"),
        (class_folders, ["--set", "training.seed"], "expected KEY=VALUE"),
        (class_folders, ["--set", "study.partition=natural"], "needs a site for every image"),
        (class_folders, ["--set", "model.family=vgg16"], "rarefed-sim weights fetch vgg16"),
        (class_folders, ["--set", "model.weights=data/negative/1.png"], "cannot be read as safetensors"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], None] | None,
    options: list[str],
    said: str,
) -> None:
    monkeypatch.setenv("RAREFED_WEIGHTS", str(tmp_path / "no-weights"))
    if make:
        make(tmp_path / "data")
    code, out, err = run("run", "--data", "data", *options)
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("error: ")
    assert said in err
    assert not (tmp_path / "runs").exists()


def test_the_installed_command_says_the_same(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "rarefed-sim"), "run", "--data", "nowhere"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert str(tmp_path / "nowhere") in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_site_with_one_class_is_allowed_and_said(tmp_path: Path) -> None:
    path = manifest(tmp_path / "data")
    lines = (path / "manifest.csv").read_text().replace("sick,p1,north", "healthy,p1,north")
    rows = [line for line in lines.splitlines() if not (",sick," in line and ",north," in line)]
    (path / "manifest.csv").write_text("\n".join(rows) + "\n")
    plan = TrainingPlan.from_flat({"data.path": str(path)})
    assert "north has images of one class only (healthy)" in describe_variant(Variant(plan))


def test_a_preset_changes_how_long_is_trained_and_what_is_set_has_the_last_word() -> None:
    quick, best = (parse_plan([], chosen_preset(*given)) for given in ((True, False), (False, True)))
    default = TrainingPlan()
    assert quick.study.centralized_epochs < default.study.centralized_epochs < best.study.centralized_epochs
    for plan in (quick, default, best):
        assert plan.federation.rounds * plan.federation.local_epochs == plan.study.centralized_epochs
    own = parse_plan(["federation.rounds=4"], chosen_preset(True, False))
    assert describe_length(own) == (
        "training: 4 rounds of 2 epochs, without federation 12 epochs, 6 views of each image, tested on the image and "
        "4 views"
    )


def test_an_unreadable_image_is_named_and_left_out(tmp_path: Path) -> None:
    class_folders(tmp_path / "data")
    (tmp_path / "data" / "negative" / "3.png").write_bytes(b"\x89PNG broken")
    plan = TrainingPlan.from_flat({"data.path": str(tmp_path / "data")})
    said = describe_variant(Variant(plan))
    assert "11 images (5 negative, 6 positive; positive is the disease)" in said[0]
    assert said[1:3] == ["12 files found, 11 used, 1 image left out", "left out: 1 .png: cannot be decoded"]
    assert said[3].startswith("left out: negative/3.png: ")


def test_weights_are_listed_and_verified(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAREFED_WEIGHTS", str(tmp_path / "weights"))
    code, out, _ = run("weights", "list", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["efficientnet_lite0"]["source"] == "packaged"
    assert found["resnet50"] is None
    assert "rarefed-sim weights fetch resnet50" in " ".join(run("weights", "list")[1].split())
    assert run("weights", "verify")[0] == 0
    code, _, err = run("weights", "fetch", "resnet")
    assert (code, err.count("\n")) == (2, 1)


def test_the_phantom_can_be_written_out(run: Run, tmp_path: Path) -> None:
    assert run("phantom", "here", "--images", "40")[0] == 0
    assert len((tmp_path / "here" / "manifest.csv").read_text().splitlines()) == 41
    assert run("phantom", "here")[0] == 2


def test_a_report_can_be_drawn_again(run: Run, tmp_path: Path) -> None:
    (tmp_path / "invented").mkdir()
    write_run(tmp_path / "invented")
    assert run("report", "invented")[0] == 0
    assert (tmp_path / "invented" / "report.html").is_file()


def test_runs_are_compared_on_the_terminal_and_on_a_page(run: Run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_run(tmp_path / name)
    code, printed, _ = run("compare", "one", "two", "--page", "page.html")
    assert code == 0
    assert "Centralised" in printed
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    code, _, complaint = run("compare", "one")
    assert code == 2
    assert "name 2 to 26" in complaint
    assert run("report", "nothing")[0] == 2


@pytest.mark.parametrize("main", [simulations.cli.main.main, server.cli.main.main, client.cli.main.main])
def test_every_command_knows_its_version_and_its_help(run: Run, main: Callable[[], None]) -> None:
    assert run("--version", main=main)[1].startswith("rarefed 0.")
    assert run("--help", main=main)[0] == 0


def test_robustness_refuses_its_second_measurement_before_it_trains_the_first(run: Run, tmp_path: Path) -> None:
    class_folders(tmp_path / "data", images=20)
    # Without hostile hospitals, as in the first measurement, four sites are enough.
    settings = ("study.sites=4", "study.hostile_sites=4", "model.weights=none", "data.size=64")
    code, out, err = run("robustness", "--data", "data", *(word for each in settings for word in ("--set", each)))
    assert (code, out) == (2, "")
    assert err == "error: study.hostile_sites = 4 of 4 sites: leave an honest one\n"
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
