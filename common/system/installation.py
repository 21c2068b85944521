"""How rarefed and Flower are installed: from which wheel, and whether Flower can start from there."""

import importlib.util
import json
from importlib.metadata import distribution
from pathlib import Path

# Flower hands the folder of its database's migrations on in a list that is parted by these, and as a template.
_NOT_IN_PATH = " \t,%"


def installation_problem() -> str | None:
    """Return why Flower's SuperLink cannot start from the folder it is installed in, and how to mend it; else None."""
    spec = importlib.util.find_spec("flwr")
    return problem_of(Path(spec.origin).resolve().parent) if spec and spec.origin else None


def problem_of(folder: Path) -> str | None:
    """Return the same of any folder."""
    if not set(str(folder)) & set(_NOT_IN_PATH):
        return None
    return (
        f"Flower cannot start from {folder}: its path has a space, a comma or a percent sign; install rarefed into "
        "another folder, with make as in `make VENV=/tmp/rarefed-venv simulate`"
    )


def wheel_digest() -> str:
    """Return the SHA-256 of the wheel that rarefed was installed from; empty if it came in another way."""
    # PEP 610: pip keeps where a package came from.
    origin = json.loads(distribution("rarefed").read_text("direct_url.json") or "{}")
    return str(origin.get("archive_info", {}).get("hashes", {}).get("sha256", ""))
