"""What the commands load before they do anything: little, so that they answer at once."""

import subprocess
import sys

HEAVY = ("torch", "ray", "matplotlib", "sklearn", "flwr", "pandas", "cryptography", "pydantic", "jinja2")


def test_the_commands_load_nothing_large_before_they_run() -> None:
    code = f"import sys, server.cli.main; print([name for name in {HEAVY} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
