from datetime import datetime
from pathlib import Path

import pytest

from client.rules.hospital_file import HospitalFile, read_hospital_file
from common.errors import InputError

GOOD = f"""\
name: east
server: fl.example.org:8443
data:
  path: images
limits:
  cpus: 2
ports:
  runtime: 9094
rules:
  apps:
    - {"a" * 64}
  families: [efficientnet_lite0]
  hours: ["20:00-06:00", "12:00-13:30"]
  require:
    update_clip_norm: 1
"""


def hospital_file(folder: Path, old: str = "", new: str = "") -> Path:
    """Write a good hospital file, with one passage changed."""
    assert old in GOOD
    path = folder / "hospital.yaml"
    path.write_text(GOOD.replace(old, new, 1) if old else GOOD)
    return path


def test_paths_count_from_the_files_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hospital_file(tmp_path)
    monkeypatch.chdir(tmp_path.parent)
    hospital = read_hospital_file(Path(tmp_path.name) / "hospital.yaml")
    assert hospital.path == tmp_path / "hospital.yaml"
    assert hospital.data.path == tmp_path / "images"
    assert hospital.ca_certificate == tmp_path / "ca.crt"
    assert hospital.state == tmp_path / "state"
    assert hospital.node_key == tmp_path / "state" / "node.key"
    assert hospital.weights == ""


def test_absolute_and_home_paths_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/it")
    assert read_hospital_file(hospital_file(tmp_path, "path: images", "path: /data")).data.path == Path("/data")
    changed = hospital_file(tmp_path, "path: images", "path: ~/images\nweights: w.safetensors")
    hospital = read_hospital_file(changed)
    assert hospital.data.path == Path("/home/it/images")
    assert hospital.weights == str(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("time", "allowed"),
    [
        ("19:59", False),
        ("20:00", True),
        ("23:59", True),
        ("00:00", True),
        ("05:59", True),
        ("06:00", False),
        ("12:00", True),
        ("13:29", True),
        ("13:30", False),
    ],
)
def test_hours_may_reach_over_midnight(tmp_path: Path, time: str, allowed: bool) -> None:
    rules = read_hospital_file(hospital_file(tmp_path)).rules
    assert rules.allows_at(datetime.fromisoformat(f"2026-01-01T{time}")) is allowed


def test_without_hours_trainings_may_always_start(tmp_path: Path) -> None:
    rules = read_hospital_file(hospital_file(tmp_path, '["20:00-06:00", "12:00-13:30"]', "[]")).rules
    assert rules.allows_at(datetime(2026, 1, 1, 15))
    until_midnight = read_hospital_file(hospital_file(tmp_path, '"12:00-13:30"', '"18:00-24:00"')).rules
    assert until_midnight.allows_at(datetime(2026, 1, 1, 19))


@pytest.mark.parametrize("written", ["off", "'off'", "no"])
def test_a_sandbox_may_be_off_as_yaml_reads_it(tmp_path: Path, written: str) -> None:
    path = hospital_file(tmp_path, "cpus: 2", f"sandbox: {written}")
    assert read_hospital_file(path).limits.sandbox == "off"


def test_the_file_cannot_be_changed_after_reading(tmp_path: Path) -> None:
    hospital: HospitalFile = read_hospital_file(hospital_file(tmp_path))
    with pytest.raises(ValueError, match="frozen"):
        hospital.name = "west"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: east", "name: ../east", ":1: name: '../east' cannot be a name"),
        (
            "fl.example.org:8443",
            "https://fl.example.org",
            ":2: server: 'https://fl.example.org': write host:port",
        ),
        ("fl.example.org:8443", "fl.example.org", ":2: server: 'fl.example.org': the port is missing"),
        ("fl.example.org:8443", "::1:9092", ":2: server: '::1:9092': an IPv6 address stands in brackets"),
        ("fl.example.org:8443", "[::1]:9092", ":2: is no YAML: "),
        ("fl.example.org:8443", "fl.example.org: 8443", "write host:port without a space between"),
        ("fl.example.org:8443", "8443", ":2: server = 8443: this is taken for a number; where a text is meant, put it"),
        ("server: fl.example.org:8443", "server:", ":2: server is empty: fill it in"),
        ("name: east", "name: Klinik S\u00fcd", ":1: name: 'Klinik S\u00fcd' cannot be a name: 1 to 63 letters"),
        (
            "name: east",
            "name: 12",
            ":1: name = 12: this is taken for a number; where a text is meant, put it into quotes",
        ),
        ("name: east", "name: 2024-01-01", ":1: name = 2024-01-01: this is taken for a date"),
        ("path: images", "path:", ":4: data.path is empty: fill it in"),
        ("path: images", "path: ''", ":4: data.path: it is empty: fill it in"),
        ("path: images", r"path: C:\data\new", r":4: data.path: 'C:\\data\\new' is a path of Windows"),
        ("path: images", r'path: "C:\data"', ":4: is no YAML: found unknown escape character 'd'; use single quotes"),
        ("path: images", r'path: "C:\new"', ":4: in double quotes, a backslash and the letter after it are one sign"),
        ("path: images", "path: images\n  positive: yes", ":5: data.positive = yes: this is taken for true or false;"),
        ("path: images", "path: images\n  label_column: 1", ":5: data.label_column = 1: this is taken for a number"),
        ("path: images", "path: images\n  label_column: 1_000", 'put it into quotes: "1_000"'),
        ("path: images", "path: images\n  label_column: 011", ":5: YAML does not take 011 for a decimal number"),
        ("path: images", "path: images\n  Positive: x", ":5: unknown field data.Positive; did you mean positive?"),
        ("path: images", "path: images\n  rounds: 3", ":5: unknown field data.rounds; it belongs below rules"),
        ("cpus: 2", "cpus: yes", ":6: limits.cpus = yes: a number is expected"),
        ("cpus: 2", "memory_gigabytes: 2,5", "a number is expected; with a decimal point, 2.5"),
        ("cpus: 2", "device: GPU", ":6: limits.device = 'GPU': must be 'auto', 'cpu', 'cuda' or 'mps'"),
        ("  cpus: 2", "  []", ":5: limits: expected fields below it, indented, such as `cpus: ...`"),
        ("runtime: 9094", "runtime: 9095", ":7: ports: runtime and health are both 9095: give each a port of its own"),
        ("runtime: 9094", "runtime: 99999", ":8: ports.runtime = 99999: must be at most 65535"),
        ("runtime: 9094", "runtime: 010000", ":8: YAML does not take 010000 for a decimal number"),
        ("[efficientnet_lite0]", "efficientnet_lite0", 'a list is expected; write ["efficientnet_lite0"]'),
        ('["20:00-06:00", "12:00-13:30"]', "20:00-06:00", 'a list is expected; write ["20:00-06:00"]'),
        ('["20:00-06:00", "12:00-13:30"]', "[20:30]", ":13: YAML does not take 20:30 for a decimal number"),
        ("12:00-13:30", "12:00-12:00", "ends when it begins; the whole day is '00:00-24:00'"),
        ("path: images", "path: 5", ":4: data.path = 5"),
        ("  path: images", "  pth: images", ":4: unknown field data.pth; did you mean path?"),
        ("cpus: 2", "cpus: -1", ":6: limits.cpus = -1"),
        ("cpus: 2", "cpus: two", ":6: limits.cpus = 'two'"),
        ("cpus: 2", "memory_gigabytes: .nan", ":6: limits.memory_gigabytes"),
        ("cpus: 2", "device: gpu", ":6: limits.device = 'gpu'"),
        ("runtime: 9094", "runtime: 0", ":8: ports.runtime = 0"),
        ("a" * 64, "a" * 63, ":10: rules.apps: "),
        ("[efficientnet_lite0]", "[efficientnet]", ":12: rules.families: 'efficientnet' is unknown"),
        ("20:00-06:00", "8pm-6am", ":13: rules.hours: '8pm-6am' is no span"),
        ("20:00-06:00", "20:00-25:00", ":13: rules.hours: "),
        ("20:00-06:00", "20:00-24:30", ":13: rules.hours: "),
        ("update_clip_norm: 1", "update_clip_norm: -1", ":15: rules.require.update_clip_norm = -1"),
        ("update_clip_norm: 1", "clip: 1", ":15: unknown field rules.require.clip; did you mean update_clip_norm?"),
        ("  families: [efficientnet_lite0]", "  least_images: 0", ":9: field rules.families is missing"),
        ("  hours:", "  share: [images]\n  hours:", ":13: rules.share number 1 = 'images'"),
        ("  hours:", "  least_images: 0\n  hours:", ":13: rules.least_images = 0"),
        ("  hours:", "  megabytes_per_round: 0\n  hours:", ":13: rules.megabytes_per_round = 0"),
    ],
)
def test_every_bad_value_names_its_line_and_field(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(InputError) as raised:
        read_hospital_file(hospital_file(tmp_path, old, new))
    assert str(raised.value).startswith(f"{tmp_path / 'hospital.yaml'}:")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("latin-1", ":4: is no UTF-8 text; save it as UTF-8"), ("utf-16", ": is UTF-16 text; save it as UTF-8")],
)
def test_another_encoding_is_named(tmp_path: Path, encoding: str, said: str) -> None:
    path = hospital_file(tmp_path)
    path.write_bytes(GOOD.replace("path: images", "path: Bilder f\u00fcr").encode(encoding))
    with pytest.raises(InputError) as raised:
        read_hospital_file(path)
    assert str(raised.value) == f"{path}{said}"


def test_a_file_from_windows_and_letters_beyond_ascii_are_read(tmp_path: Path) -> None:
    path = hospital_file(tmp_path)
    text = GOOD.replace("path: images", "path: 'Bilder f\u00fcr'").replace("a" * 64, "A" * 64).replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    hospital = read_hospital_file(path)
    assert hospital.data.path == tmp_path / "Bilder f\u00fcr"
    assert hospital.rules.apps == ("a" * 64,)


def test_an_ipv6_address_stands_in_brackets_and_quotes(tmp_path: Path) -> None:
    changed = hospital_file(tmp_path, "fl.example.org:8443", '"[2001:db8::1]:8443"')
    assert read_hospital_file(changed).server == "[2001:db8::1]:8443"


def test_a_missing_file_says_where_it_should_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no such file; run this in the hospital's folder.* --file"):
        read_hospital_file(tmp_path / "hospital.yaml")
