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
        (
            "fl.example.org",
            "https://fl.example.org",
            ":3: server.host: 'https://fl.example.org': write name",
        ),
        ("fl.example.org", "fl.example.org:8443", ":3: server.host: 'fl.example.org:8443': write only the name"),
        ("fl.example.org", '"*.example.org"', ":3: server.host: '*.example.org' is no single machine"),
        ("fl.example.org", "h\u00f4pital.example", ":3: server.host: 'h\u00f4pital.example' is no name"),
        ("host: fl.example.org", "host:", ":3: server.host is empty: fill it in"),
        ("fl.example.org", "fl.example.org\n  port: 99999", ":4: server.port = 99999: must be at most 65535"),
        ("fl.example.org", "fl.example.org\n  port: 9091", ":2: server: port and superlink_port are both 9091"),
        ("fl.example.org", "fl.example.org\n  listen: '*'", ":4: server.listen: '*' is no address of this machine"),
        ("fl.example.org", "fl.example.org\n  gateway: nein", ":4: server.gateway = 'nein': true or false is expected"),
        ("fl.example.org", "fl.example.org\n  runs: ''", ":4: server.runs: it is empty: fill it in"),
        ("- name: west", "- name: 0", ":8: hospitals number 2: name = 0: this is taken for a number"),
        ("- name: west", "- west", ":8: hospitals number 2: expected fields below it, indented, such as `name: ...`"),
        ("- name: west", "- name: S\u00fcd", ":8: hospitals number 2: name: 'S\u00fcd' cannot be a name"),
        ("Dr East, +1 555", "Dr East: 555", ":7: is no YAML: mapping values are not allowed here; a text with a colon"),
        (
            "10.0.0.5",
            "10.0.0.5:8443",
            ":4: server.also number 1: '10.0.0.5:8443': write only the name or address, 10.0.0.5",
        ),
        ("- name: west", "- name: EAST", ":8: hospitals number 1 and 2 are both called 'EAST'"),
        (
            "- name: west",
            "- name: west\n  - contact: x\n    name: west",
            ":10: hospitals number 2 and 3 are both called 'west'",
        ),
        (
            "- name: west",
            "- name: South Side",
            ":8: hospitals number 2: name: 'South Side' cannot be a name: 1 to 63 letters (a to z, A to Z), digits, "
            "and . _ - after the first, such as South-Side",
        ),
        ("- name: west", "- name: ../west", ":8: hospitals number 2: name: '../west' cannot be a name"),
        ("contact", "contct", ":7: unknown field hospitals number 1: contct; did you mean contact?"),
        (
            "name: demo",
            "name: demo\ncontainer_image: rarefed:0.1.0",
            ":2: container_image: 'rarefed:0.1.0' is no image by digest",
        ),
        ("name: demo", "nam: demo", ":1: unknown field nam; did you mean name?"),
    ],
)
def test_every_bad_value_names_its_line_and_field(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(InputError) as raised:
        read_consortium(write(tmp_path, old, new))
    assert str(tmp_path / "consortium.yaml") + said in str(raised.value)
    assert "\n" not in str(raised.value)
