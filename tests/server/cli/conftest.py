from pathlib import Path

import pytest

from server.cli import main
from server.members.server_folder import ServerFolder
from tests.server.cli.invented_server import Command, InventedServer
from tests.server.federation_folder import make_folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> InventedServer:
    return InventedServer(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> ServerFolder:
    return make_folder(tmp_path / "federation")


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text("[federation]\nrounds = 3\nlocal_epochs = 2\n[training]\nseed = 5\n")
    return path


@pytest.fixture
def command(folder: ServerFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.setenv("RAREFED_SERVER_FOLDER", str(folder.root))

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["rarefed-server", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call
