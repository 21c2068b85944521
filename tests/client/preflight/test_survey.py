"""Looking at images is what a hospital's check begins with, and takes none of the time that PyTorch needs to load."""

import subprocess
import sys


def test_looking_at_images_loads_no_pytorch() -> None:
    code = "import sys, client.preflight.survey; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
