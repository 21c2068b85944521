"""`rarefed-sim check`: what it says of a data set, in words, as JSON and as an exit code."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import simulations.cli.main
from tests.client.preflight.pictures import picture
from tests.places import ROOT

Check = Callable[..., tuple[int, str, str]]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Check:
    """Run `rarefed-sim check` in an empty folder; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rarefed-sim", "check", *arguments])
        with pytest.raises(SystemExit) as ended:
            simulations.cli.main.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def hospitals(root: Path, images: int = 24) -> Path:
    """Write a manifest of two sites and two classes, every patient with two images."""
    rows = ["path,label,patient,site"]
    root.mkdir()
    for number in range(images):
        Image.fromarray(picture(number, 64)).save(root / f"{number}.png")
        label, site = ("healthy", "sick")[number // 2 % 2], ("north", "south")[number // 4 % 2]
        rows.append(f"{number}.png,{label},p{number // 2},{site}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root


def test_it_says_what_a_data_set_is_taken_for(check: Check, tmp_path: Path) -> None:
    hospitals(tmp_path / "data")
    code, out, err = check("data", "--set", "data.size=64")
    assert (code, err) == (0, "")
    assert "data: 24 images of 12 patients" in out
    assert "column 'patient'" in out
    assert "the disease is 'sick', healthy is 'healthy'\n" in out
    assert "2 sites, as the data name them" in out
    assert re.search(r"north +12 +6 +6 +6 ", out)
    assert f"contact sheet: {tmp_path / 'check-data.html'}" in " ".join(out.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["check-data.html", "data"]


def test_the_readme_shows_what_it_prints(check: Check, tmp_path: Path) -> None:
    hospitals(tmp_path / "data")
    said = check("data", "--set", "data.size=64")[1]
    page = (ROOT / "README.md").read_text()
    (shown,) = (block for block in re.findall(r"^```\n(.*?)^```$", page, re.M | re.S) if "contact sheet: " in block)

    def first_words(text: str) -> list[str]:
        return [re.sub(r"\d+", "N", line.split()[0]) for line in text.partition("\n\n")[0].splitlines()[1:]]

    def checks(text: str) -> int:
        return int(re.findall(r"(\d+) checks passed", text)[0]) + len(re.findall("  warn  ", text))

    assert first_words(shown) == first_words(said)
    assert checks(shown) == checks(said)


def test_a_guess_is_called_one(check: Check, tmp_path: Path) -> None:
    manifest = hospitals(tmp_path / "data") / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",sick,", ",type b,").replace(",healthy,", ",type a,"))
    assert "the disease is 'type b', healthy is 'type a' (a guess from the names: " in check("data")[1]
    assert "a guess" not in check("data", "--set", "data.positive=type a")[1]


def test_a_data_set_of_many_faults_is_still_usable(check: Check, tmp_path: Path) -> None:
    data = hospitals(tmp_path / "data")
    (data / "3.png").write_bytes(b"no image")
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(data / "4.png")
    Image.fromarray(picture(6, 12)).save(data / "6.png")
    (data / "8.png").write_bytes((data / "9.png").read_bytes())
    code, out, _ = check("data")
    assert code == 0
    odd = {line.split("  ")[1].strip() for line in out.splitlines() if re.search(r"  warn  ", line)}
    assert odd >= {"readable", "exposure", "sizes", "copies", "resolution"}
    assert "3.png" in out
    assert "Ready, with" in out


def test_the_options_are_those_of_a_run(check: Check, tmp_path: Path) -> None:
    hospitals(tmp_path / "data")
    code, out, _ = check("--data", "data", "--sites", "3", "--set", "study.partition=iid", "--output", "sub/page.html")
    assert code == 0
    assert "3 sites, dealt out at random, all alike" in out
    assert (tmp_path / "sub" / "page.html").is_file()
    code, out, err = check("data", "--set", "data.sise=3")
    assert (code, out) == (2, "")
    assert "did you mean 'data.size'?" in err


def test_as_json(check: Check, tmp_path: Path) -> None:
    hospitals(tmp_path / "data")
    code, out, _ = check("data", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["dataset"]["classes"] == ["healthy", "sick"]
    assert [site["per_class"] for site in told["dataset"]["sites"]] == [{"healthy": 6, "sick": 6}] * 2
    assert {"check", "status", "found", "mend"} == set(told["findings"][0])
    assert Path(told["page"]).is_file()


def one_class(data: Path) -> None:
    (data / "manifest.csv").write_text((data / "manifest.csv").read_text().replace("sick", "healthy"))


def two_labels(data: Path) -> None:
    (data / "0.png").write_bytes((data / "2.png").read_bytes())


@pytest.mark.parametrize(
    ("spoil", "options", "said"),
    [
        (one_class, [], "holds only the class"),
        (two_labels, [], "are the same image"),
        (lambda data: None, ["--sites", "13"], "only 12 patients"),
        (lambda data: None, ["--set", "model.family=vgg16"], "weights fetch vgg16"),
    ],
)
def test_what_a_run_would_refuse_is_said_with_all_else_that_was_found(
    check: Check,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path], None],
    options: list[str],
    said: str,
) -> None:
    monkeypatch.setenv("RAREFED_WEIGHTS", str(tmp_path / "no-weights"))
    spoil(hospitals(tmp_path / "data"))
    code, out, _ = check("data", *options)
    assert code == 2
    assert said in " ".join(out.split())
    assert "FAILED" in out
    assert not (tmp_path / "check-data.html").exists()
    status = json.loads(check("data", "--json", *options)[1])["status"]
    assert status == "failed"


def test_no_data_at_all_is_one_line(check: Check, tmp_path: Path) -> None:
    code, out, err = check("nowhere")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_a_page_that_cannot_be_written_hides_nothing(check: Check, tmp_path: Path) -> None:
    hospitals(tmp_path / "data")
    (tmp_path / "file").touch()
    code, out, err = check("data", "--set", "data.size=64", "--output", str(tmp_path / "file" / "page.html"))
    assert code == 2
    assert "data: 24 images of 12 patients" in out
    assert err.startswith("error: ")
    assert "page.html cannot be written" in err


def test_a_home_folder_of_nobody_is_one_line(check: Check) -> None:
    code, _, err = check("~nobody-of-this-name/data")
    assert code == 2
    assert "there is no such user's home folder" in err
    assert err.count("\n") == 1


def test_refused_images_are_described_as_they_were_read(check: Check, tmp_path: Path) -> None:
    hospitals(tmp_path / "data")
    (tmp_path / "data" / "manifest.csv").rename(tmp_path / "data" / "labels.csv")
    (tmp_path / "data" / "images").mkdir()
    for path in (tmp_path / "data").glob("*.png"):
        path.rename(tmp_path / "data" / "images" / path.name)
    code, out, _ = check("data")
    words = " ".join(out.split())
    assert code == 2
    assert "classes as they are written: 'images' (24)" in words
    assert "if labels.csv lists the images, give" in words
    assert words.count("holds only the class 'images'") == 1


def test_images_that_cannot_be_listed_are_json_too(check: Check, tmp_path: Path) -> None:
    manifest = hospitals(tmp_path / "data") / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("0.png,healthy", "0.png,Healthy", 1))
    code, out, err = check("data", "--json")
    assert code == 2
    assert "the label 'healthy' is written 'Healthy' in row 2" in err
    assert json.loads(out)["status"] == "failed"
    assert json.loads(out)["findings"][0]["found"] in err


def test_a_page_must_be_no_folder(check: Check, tmp_path: Path) -> None:
    code, out, err = check(str(hospitals(tmp_path / "data")), "--output", "data")
    assert (code, out) == (2, "")
    assert err == "error: data: is a folder; name the page, such as data/check.html\n"
