"""The arms of a study: every way of training that is compared, and how each is named, drawn and tested.

A new arm is one entry here, its word in `common.plan.study.ARMS`, and a training function in
`simulations.study.pooled_and_local`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan

FEDERATED = "federated"
CENTRALIZED = "centralized"
LOCAL = "local"
LOCAL_ALL = "local-all"

WITHOUT_PRETRAINING: dict[str, Scalar] = {
    "model.weights": "none",
    "model.freeze": "none",
    "model.batch_norm": "train",
}
"""What a plan without pretraining changes: nothing is worth freezing then, not even the statistics."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way of training, or of testing what was trained.

    Attributes
    ----------
    key : str
        Its name in the plan, in files, and as a colour of the report.
    title : str
        In tables.
    patients : str
        Which patients it is tested on, where not simply all; small print below the title.
    short_title : str
        In legends and narrow tables.
    site_heading : tuple of (str, str)
        Its heading and the small print below it in the table of sites; (short_title, "") if empty.
    in_sentence : str
        What a sentence calls it.
    headline_subject : str
        What the verdict's headline calls it.
    light, dark : str
        Its colour on light (and on paper) and on dark ground.
    dash : Any
        Its line style in Matplotlib's notation: lines differ in dash as well as in colour, for print in grey and for
        colour-blind readers.
    marker : str
        Its marker in Matplotlib's notation.
    tested_against : tuple of str
        Keys of the arms from which its results are subtracted in a paired test.
    bounds_gap : bool
        Whether it is one of the three between which the gap closed is measured; they make the headline.
    epochs : callable or None
        How many epochs a plan trains it; None for an arm that tests the models of another.
    plan_changes : mapping
        What it changes in the plan.
    judged_everywhere_as : str
        For an arm that trains one model per site and tests each on its own patients: key of the arm that tests the same
        models on everybody's.
    """

    key: str
    title: str
    patients: str = ""
    short_title: str
    site_heading: tuple[str, str] = ("", "")
    in_sentence: str
    headline_subject: str
    light: str
    dark: str
    dash: Any
    marker: str
    tested_against: tuple[str, ...] = ()
    bounds_gap: bool = False
    epochs: Callable[[TrainingPlan], int] | None = None
    plan_changes: Mapping[str, Scalar] = field(default_factory=dict)
    judged_everywhere_as: str = ""

    @property
    def full_title(self) -> str:
        """The title together with the patients it was tested on."""
        return f"{self.title} ({self.patients})" if self.patients else self.title

    @property
    def heading_of_sites(self) -> tuple[str, str]:
        """The heading in the table of sites, and its small print."""
        return self.site_heading if self.site_heading[0] else (self.short_title, "")

    @property
    def one_model_per_site(self) -> bool:
        """Whether each site trains a model of its own."""
        return bool(self.judged_everywhere_as)


def _federated_epochs(plan: TrainingPlan) -> int:
    return plan.federation.rounds * plan.federation.local_epochs


def _centralized_epochs(plan: TrainingPlan) -> int:
    return plan.study.centralized_epochs


ARMS: dict[str, Arm] = {
    arm.key: arm
    for arm in (
        Arm(
            key=CENTRALIZED,
            title="Centralised",
            short_title="Centralised",
            in_sentence="centralised training",
            headline_subject="training on the pooled images",
            light="#0b62a8",
            dark="#6bb4f0",
            dash=(0, (6, 2)),
            marker="s",
            tested_against=(FEDERATED,),
            bounds_gap=True,
            epochs=_centralized_epochs,
        ),
        Arm(
            key=FEDERATED,
            title="Federated",
            short_title="Federated",
            in_sentence="federated training",
            headline_subject="federated training",
            light="#c2470a",
            dark="#ff9a5c",
            dash="-",
            marker="o",
            bounds_gap=True,
            epochs=_federated_epochs,
        ),
        Arm(
            key=LOCAL,
            title="Each hospital alone",
            patients="own patients",
            short_title="Alone, own patients",
            site_heading=("Own model", "own patients"),
            in_sentence="each hospital alone on its own patients",
            headline_subject="each hospital alone, on its own patients,",
            light="#0a7d5c",
            dark="#58cfa6",
            dash=(0, (4, 1.5, 1, 1.5)),
            marker="^",
            tested_against=(FEDERATED,),
            epochs=_centralized_epochs,
            judged_everywhere_as=LOCAL_ALL,
        ),
        Arm(
            key=LOCAL_ALL,
            title="Each hospital alone",
            patients="all patients, mean of the models",
            short_title="Alone, all patients",
            site_heading=("Own model", "all patients"),
            in_sentence="the hospitals’ own models on all patients",
            headline_subject="the hospitals’ own models, on all patients,",
            light="#7a5ca8",
            dark="#bda2ec",
            dash=(0, (1, 1.5)),
            marker="v",
            tested_against=(FEDERATED, CENTRALIZED),
            bounds_gap=True,
        ),
        Arm(
            key="probe",
            title="Linear probe on frozen features",
            short_title="Linear probe",
            in_sentence="the linear probe",
            headline_subject="a linear probe on the frozen pretrained features",
            light="#a17c00",
            dark="#e8cd55",
            dash=(0, (2.5, 1.5)),
            marker="D",
            tested_against=(FEDERATED, CENTRALIZED),
            # No epoch of the network: a regression on its features.
            epochs=lambda plan: 0,
        ),
        Arm(
            key="scratch",
            title="Centralised, without pretraining",
            short_title="No pretraining",
            in_sentence="centralised training without pretraining",
            headline_subject="training on the pooled images without pretraining",
            light="#4d5560",
            dark="#c3cad3",
            dash=(0, (7, 1.5, 1, 1.5, 1, 1.5)),
            marker="X",
            tested_against=(FEDERATED,),
            epochs=_centralized_epochs,
            plan_changes=WITHOUT_PRETRAINING,
        ),
    )
}
"""By key, in the order in which they are shown."""

GAP_ARMS: tuple[str, ...] = tuple(arm.key for arm in ARMS.values() if arm.bounds_gap)

COMPARISONS: tuple[tuple[str, str], ...] = tuple(
    (first, second.key)
    for first in dict.fromkeys(key for arm in ARMS.values() for key in arm.tested_against)
    for second in ARMS.values()
    if first in second.tested_against
)
"""The paired tests of a study: the first arm's results minus the second's."""
