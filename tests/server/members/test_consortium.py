from pathlib import Path

import pytest

from common.errors import InputError
from server.members.consortium import read_consortium

GOOD = """\
name: demo
server:
  host: fl.example.org
  also: [10.0.0.5, "::1", "*.example.org"]
hospitals:
  - name: east
    contact: Dr East, +1 555
  - name: west
"""


def write(folder: Path, old: str = "", new: str = "") -> Path:
    assert old in GOOD
    path = folder / "consortium.yaml"
    path.write_text(GOOD.replace(old, new, 1) if old else GOOD)
    return path


def test_a_good_file_is_read(tmp_path: Path) -> None:
    consortium = read_consortium(write(tmp_path))
    assert consortium.server.also == ("10.0.0.5", "::1", "*.example.org")
    assert consortium.server.port == 8443
    assert [hospital.name for hospital in consortium.hospitals] == ["east", "west"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("fl.example.org", "https://fl.example.org", ":3: server.host = "),
        ("fl.example.org", "fl.example.org:8443", ":3: server.host = "),
        ("fl.example.org", '"*.example.org"', ":3: server.host = "),
        ("fl.example.org", "h\u00f4pital.example", ":3: server.host: 'h\u00f4pital.example' is no name"),
        ("10.0.0.5", "10.0.0.5:8443", ":4: server.also.0: '10.0.0.5:8443' is no name"),
        ("- name: west", "- name: EAST", ":1: two hospitals are called 'east'"),
        ("- name: west", "- name: ../west", ":8: hospitals.1.name = "),
        ("contact", "contct", ":7: unknown field hospitals.0.contct; did you mean contact?"),
        ("name: demo", "nam: demo", ":1: unknown field nam; did you mean name?"),
    ],
)
def test_every_bad_value_names_its_line_and_field(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(InputError) as raised:
        read_consortium(write(tmp_path, old, new))
    assert str(tmp_path / "consortium.yaml") + said in str(raised.value)
    assert "\n" not in str(raised.value)
