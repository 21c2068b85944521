"""`python -m tests.bench.honest_study FOLDER`: five folds of the default plan under the rules of a new hospital.

Each site of the folder's manifest becomes a hospital that answers as its daemon does, in one process: rules, memory,
training, guard. Printed is what was refused or left out, and what the coordinator sees of the test patients.
"""

import csv
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from flwr.supercore.task_identity import TaskIdentity

# Flower lets only a task of a run make messages; what follows makes some when it is imported.
TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1

from client.runner.local_app import local_client_app  # noqa: E402
from common.evaluation.evaluation_counts import EvaluationCounts  # noqa: E402
from common.plan.training_plan import TrainingPlan  # noqa: E402
from server.rounds.observer import FederationObserver  # noqa: E402
from server.rounds.reply_checks import SiteInfo  # noqa: E402
from server.rounds.state import RoundReport  # noqa: E402
from tests.attacks.test_server import Victim  # noqa: E402
from tests.client.exposure.ruled_federation import federate  # noqa: E402
from tests.client.hospital import write_hospital  # noqa: E402
from tests.client.runner.test_message_handler import DIGEST  # noqa: E402

FOLDS = 5
# The smallest site of skin200 has 15 images, and a new hospital's rules ask for 20 to train on.
LEAST_IMAGES = 10
CLASSES = "negative,positive"


def hand_out(folder: Path, place: Path) -> dict[str, Path]:
    """Copy each site's images to a folder of its own, and return the sites' manifests."""
    rows = defaultdict(list)
    with (folder / "manifest.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            rows[row["site"]].append(row)
    manifests = {}
    for site, own in sorted(rows.items()):
        manifests[site] = place / site / "manifest.csv"
        for row in own:
            (place / site / row["path"]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / row["path"], place / site / row["path"])
        with manifests[site].open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(own[0]))
            writer.writeheader()
            writer.writerows(own)
    return manifests


class Honest(Victim):
    """A hospital with the rules that a kit brings; one of few images must lower the least that it trains on."""

    def __init__(self, folder: Path, manifest: Path, fold: int) -> None:
        data = {"path": str(manifest), "patient_column": "lesion_id", "fold": fold}
        rules = {"apps": [DIGEST], "families": ["efficientnet_lite0"], "least_images": LEAST_IMAGES}
        self.file = write_hospital(folder, manifest, name=folder.name, data=data, rules=rules)
        self._app = local_client_app(self.file, folder / "layers")


class Told(FederationObserver):
    """Prints whatever is not as it should be."""

    def hospitals_introduced(self, taking_part: Sequence[SiteInfo], left_out: Mapping[str, str]) -> None:
        for name, why in left_out.items():
            print(f"{name} does not take part: {why}")

    def round_finished(self, report: RoundReport) -> None:
        if report.failures:
            print(f"round {report.round}: {report.failures}")

    def trouble(self, line: str) -> None:
        print(line)


def run_fold(manifests: dict[str, Path], place: Path, fold: int) -> EvaluationCounts | None:
    """Run one fold's federation; return the pooled scores of the hospitals that tell theirs."""
    plan = TrainingPlan.from_flat({"data.classes": CLASSES, "federation.retry_seconds": 0})
    hospitals = {site: Honest(place / str(fold) / site, manifest, fold) for site, manifest in manifests.items()}
    result = federate(plan, hospitals, Told(), f"fold {fold}")
    pooled = EvaluationCounts.pool(result.test.values())
    told = f"{pooled.correct} of {pooled.images} right, AUC {pooled.ranking.auc():.3f}" if pooled else "nothing is told"
    print(f"fold {fold}: {len(result.rounds)} rounds; {told} (tested by {', '.join(result.test)})", flush=True)
    return pooled


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sites = hand_out(Path(sys.argv[1]), Path(folder))
        everything = EvaluationCounts.pool(
            fold for each in range(FOLDS) if (fold := run_fold(sites, Path(folder), each)) is not None
        )
        if everything:
            print(f"{everything.correct} of {everything.images} right, AUC {everything.ranking.auc():.3f}")
