"""Where the checkout is, and the real images beside it, which CI has and a user's machine has not."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
