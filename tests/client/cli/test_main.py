"""Which libraries the commands of `rarefed-hospital` load: none that its user would have to wait for."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.client.hospital import write_hospital

HEAVY = {
    *("torch", "torchvision", "timm", "numpy", "scipy", "sklearn", "cv2", "PIL", "pydicom", "matplotlib", "ray"),
    *("flwr", "grpc", "httpx", "cryptography", "albumentations", "safetensors"),
}

RUN = """
import json, sys
sys.argv = ["rarefed-hospital", *sys.argv[1:]]
from client.cli.main import main
try:
    main()
finally:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


def loaded_by(*arguments: object) -> set[str]:
    command = [sys.executable, "-c", RUN, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    modules: Any = json.loads(done.stderr.splitlines()[-1])
    return set(modules)


@pytest.mark.parametrize(
    "arguments", [("--help",), ("status", "--help"), ("check", "--help"), ("preview", "--help"), ("audit", "show")]
)
def test_help_and_the_audit_log_load_no_heavy_library(arguments: tuple[str, ...], tmp_path: Path) -> None:
    if arguments[-1] == "show":
        arguments = (*arguments, "--file", str(write_hospital(tmp_path, tmp_path).path))
    loaded = loaded_by(*arguments)
    assert "typer" in loaded
    assert loaded & HEAVY == set()


def test_status_loads_no_heavy_library(tmp_path: Path) -> None:
    loaded = loaded_by("status", "--file", write_hospital(tmp_path, tmp_path).path)
    assert "client" in loaded
    assert loaded & HEAVY == set()
