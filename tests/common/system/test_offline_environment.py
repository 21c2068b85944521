import json
import subprocess
import sys

from common.system.offline_environment import OFFLINE_ENVIRONMENT
from tests.places import ROOT

PTH = ROOT / "common" / "rarefed.pth"


def settings_after_start(environment: dict[str, str]) -> dict[str, str]:
    program = f"exec({PTH.read_text()!r}); import json, os; print(json.dumps(dict(os.environ)))"
    done = subprocess.run([sys.executable, "-S", "-c", program], env=environment, capture_output=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_every_python_of_the_environment_is_as_quiet_as_rarefeds_own() -> None:
    found = settings_after_start({})
    assert {key: found[key] for key in OFFLINE_ENVIRONMENT} == OFFLINE_ENVIRONMENT
    assert set(found) - set(OFFLINE_ENVIRONMENT) <= {"LC_CTYPE"}


def test_what_the_user_set_stays() -> None:
    assert settings_after_start({"FLWR_TELEMETRY_ENABLED": "1"})["FLWR_TELEMETRY_ENABLED"] == "1"
