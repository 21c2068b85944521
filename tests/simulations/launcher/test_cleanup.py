"""The process that cleans up after a run."""

import subprocess
import sys


def test_the_process_that_cleans_up_loads_nothing_large() -> None:
    heavy = ("torch", "ray", "sklearn", "scipy", "pandas", "matplotlib", "flwr", "numpy", "pydantic")
    code = f"import sys, simulations.launcher.cleanup; print([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
