"""How well each arm did and how two of them differ, as `summary.json` says it."""

from pydantic import BaseModel, ConfigDict

Interval = tuple[float, float]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Metrics(_Record):
    """How good a set of predictions is; counts and rates are means over the sets (repeats, hospitals' models).

    Rates are in [0, 1], and None where they are 0/0. `confusion` has the true classes as rows.
    """

    correct: float
    total: int
    accuracy: float | None = None
    sensitivity: float | None = None
    specificity: float | None = None
    precision: float | None = None
    f1: float | None = None
    auc: float | None = None
    ece: float | None = None
    confusion: list[list[float]] | None = None
    ci95: dict[str, Interval | None] = {}


class Progress(_Record):
    """One point of a learning curve: means over folds and repeats, and one standard deviation either way.

    `progress` is the share of the training budget spent, in [0, 1].
    """

    progress: float
    train_loss: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    validation_auc: float | None = None
    spread: dict[str, Interval | None] | None = None


class ReliabilityBin(_Record):
    """Images whose predicted probability lies in [low, high]: its mean, and the share that came true."""

    low: float
    high: float
    images: float
    predicted: float
    observed: float


class Parameters(_Record):
    """Numbers of weights."""

    trained: int
    total: int


class WorstSite(_Record):
    """The site at which an arm is least accurate."""

    name: str
    accuracy: float


class Selected(_Record):
    """When the kept model was taken: the share of the training budget, as a mean."""

    progress: float | None = None


class Training(Metrics):
    """One way of training: its metrics on the test patients, and what it took."""

    wall_s: float | None = None
    image_passes: float | None = None
    parameters: Parameters | None = None
    # Only of the local arm: the sites' models on everyone's test patients, as a mean.
    on_all_sites: Metrics | None = None


class Arm(Training):
    """One way of training in full: by repeat, by site, and how it got there."""

    per_repeat: list[Metrics] = []
    per_site: dict[str, Metrics] = {}
    worst_site: WorstSite | None = None
    reliability: list[ReliabilityBin] = []
    history: list[Progress] = []
    selected: Selected | None = None
    models: dict[str, Metrics] = {}


class Difference(_Record):
    """One metric of the first arm minus that of the second, with a 95 % interval and a two-sided p-value."""

    difference: float
    ci95: Interval | None = None
    p_value: float | None = None

    @property
    def clear(self) -> bool:
        """Whether both the interval and the test (5 %) say that there is a difference."""
        if self.ci95 is None or self.p_value is None:
            return False
        return self.p_value < 0.05 and (self.ci95[0] > 0 or self.ci95[1] < 0)


class McNemar(_Record):
    """Images of one repeat that only one of two arms got right."""

    repeat: int
    only_first: int
    only_second: int
    total: int
    p_value: float


class DeLong(_Record):
    """Two AUCs of one repeat on the same images."""

    repeat: int
    difference: float | None
    p_value: float | None


class PairedTest(_Record):
    """Two arms on the same images; `local-all` is the hospitals' own models on all sites."""

    first: str
    second: str
    accuracy: Difference | None = None
    auc: Difference | None = None
    mcnemar: list[McNemar] = []
    delong: list[DeLong] = []


class GapClosed(_Record):
    """(federated - local-all) / (centralized - local-all): 0 as good as a lonely hospital, 1 as good as pooling."""

    value: float | None
    ci95: Interval | None = None
    reason: str | None = None
