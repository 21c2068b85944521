"""The environment of a simulation's processes."""

from pathlib import Path

import pytest

from simulations.launcher.environment import simulation_environment


def test_a_run_sees_neither_a_foreign_ray_nor_the_users_python_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    environment = simulation_environment(tmp_path, tmp_path / "home", "mark")
    assert not {"RAY_ADDRESS", "PYTHONPATH"} & environment.keys()
    assert environment["FLWR_TELEMETRY_ENABLED"] == "0"
    assert environment["FLWR_HOME"] == str(tmp_path / "home")


def test_a_run_knows_no_proxy_since_it_calls_this_machine_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    environment = simulation_environment(tmp_path, tmp_path / "home", "mark")
    assert not {"http_proxy", "https_proxy", "all_proxy"} & {name.lower() for name in environment}
    assert "127.0.0.1" in environment["no_proxy"]
