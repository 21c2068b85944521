"""`make bench [DATA=folder with a manifest.csv that names four sites]`: ratios within one run, for the documentation.

Absolute times say little on a shared machine.
"""

import sys
from pathlib import Path

from rich.console import Console

from tests.bench.shortcuts import measure as measure_shortcuts
from tests.bench.start_and_end import measure as measure_start_and_end

console = Console(width=110)
measure_shortcuts(console)
measure_start_and_end(Path(sys.argv[1]).absolute() if sys.argv[1:] else None, console)
