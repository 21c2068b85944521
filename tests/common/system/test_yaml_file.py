"""What people write wrong in a YAML file, and the one line that they read then."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from common.errors import InputError
from common.system.yaml_file import read_yaml_file


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    contact: str = ""


class Nested(BaseModel):
    model_config = ConfigDict(extra="forbid")

    port: int = Field(ge=1, le=65535)


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str
    server: Nested
    parts: tuple[Part, ...]
    extra: Nested | None = None


GOOD = "title: t\nserver:\n  port: 80\nparts:\n  - name: a\n  - name: b\n"


def read(folder: Path, content: str | bytes) -> Whole:
    path = folder / "it.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_yaml_file(path, Whole)


def test_a_good_file_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD) == Whole(title="t", server=Nested(port=80), parts=(Part(name="a"), Part(name="b")))
    assert read(tmp_path, "# for a reader\n" + GOOD + "extra: {port: 1}\n").extra == Nested(port=1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(GOOD.replace("title", "titel"), ":1: unknown field titel; did you mean title?", id="mistyped"),
        pytest.param(GOOD.replace("port", "prot"), ":3: unknown field server.prot; did you mean port?", id="nested"),
        pytest.param(
            GOOD.replace("- name: b", "- name: b\n    conctact: x"),
            ":7: unknown field parts number 2: conctact; did you mean contact?",
            id="in a list's item",
        ),
        pytest.param(GOOD + "extra:\n  prt: 1\n", ":8: unknown field extra.prt; did you mean port?", id="in an option"),
        pytest.param("server:\n  port: 80\nparts: []\n", ":1: field title is missing", id="missing"),
        pytest.param(
            GOOD.replace("- name: b", "- contact: b"), ":6: field parts number 2: name is missing", id="missing item"
        ),
        pytest.param(GOOD.replace("80", "70000"), ":3: server.port = 70000: ", id="out of range"),
        pytest.param(GOOD.replace("80", "many"), ":3: server.port = 'many': ", id="other type"),
        pytest.param(GOOD.replace("name: a", "name: 5"), ":5: parts number 1: name = 5: ", id="item of other type"),
        pytest.param(GOOD + "title: u\n", ":7: title stands here and in line 1: remove one", id="repeated"),
        pytest.param(
            GOOD.replace("- name: b", "- name: b\n    name: c"),
            ":7: name stands here and in line 6",
            id="repeated item",
        ),
        pytest.param("title: [\nserver: }\n", ":2: is no YAML: ", id="no YAML"),
        pytest.param("title: x\n\tserver: 1\n", ":2: is no YAML: ", id="tabulator"),
        pytest.param("title: !!python/object/apply:os.getcwd []\n", ":1: is no YAML: ", id="code"),
        pytest.param("title: 2024-99-99\n", ": is no YAML: ", id="impossible date"),
        pytest.param("? [a]\n: 1\n", ":1: is no YAML: ", id="list as a field"),
        pytest.param("--- {}\n--- {}\n", ":2: is no YAML: ", id="two documents"),
        pytest.param("", ": expected fields such as `title: ...`", id="empty"),
        pytest.param("# nothing yet\n", ": expected fields such as `title: ...`", id="only a comment"),
        pytest.param("- a\n- b\n", ": expected fields such as `title: ...`", id="list"),
        pytest.param(b"\x89PNG\r\n\x1a\n\xff\xfe", ":1: is no UTF-8 text; save it as UTF-8", id="binary"),
        pytest.param(b"title: \x00\n", ":1: is no YAML: it holds the character U+0000", id="zero byte"),
        pytest.param("[" * 5000, ": is nested too deeply", id="deep"),
        pytest.param("title: &a\n  b: *a\n", ": is nested too deeply, or a part of it holds itself", id="endless"),
    ],
)
def test_errors_are_one_line_with_the_files_line_and_the_field(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(InputError) as raised:
        read(tmp_path, content)
    assert str(tmp_path / "it.yaml") + said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.yaml: No such file"):
        read_yaml_file(tmp_path / "absent.yaml", Whole)
    with pytest.raises(InputError, match="Is a directory"):
        read_yaml_file(tmp_path, Whole)
