"""How well one way of training did, and what it took."""

from pydantic import Field

from common.summary.record import Count, Interval, Record


class MetricsRecord(Record):
    """How good a set of predictions is; counts and rates are means over the sets (repeats, hospitals' models).

    Rates are in [0, 1], and None where they are 0/0. `confusion` has the true classes as rows. `ci95` holds the 95 %
    interval of each metric. All are missing where nobody tested, as in a federation whose hospitals share no scores.
    """

    correct: Count = 0
    total: int = 0
    accuracy: float | None = None
    sensitivity: float | None = None
    specificity: float | None = None
    precision: float | None = None
    f1: float | None = None
    auc: float | None = None
    ece: float | None = None
    confusion: list[list[Count]] | None = None
    ci95: dict[str, Interval | None] = {}


class CurvePointRecord(Record):
    """One point of a learning curve: means over folds and repeats, and one standard deviation either way.

    `progress` is the share of the training budget spent, in [0, 1].
    """

    progress: float
    train_loss: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    validation_auc: float | None = None
    spread: dict[str, Interval | None] | None = None


class ReliabilityBinRecord(Record):
    """Images whose predicted probability lies in [low, high]: its mean, and the share that came true."""

    low: float
    high: float
    images: float
    predicted: float
    observed: float


class ParametersRecord(Record):
    """Numbers of weights."""

    trained: int
    total: int


class WorstSiteRecord(Record):
    """The site at which an arm is least accurate."""

    name: str
    accuracy: float | None


class SelectedRecord(Record):
    """When the selected model was taken: the share of the training budget, as a mean.

    Of an average over rounds or epochs, `progress` is that of the last one, and `averaged_from` of the first.
    """

    progress: float | None = None
    averaged_from: float | None = None


class ArmRecord(MetricsRecord):
    """One way of training: its metrics on the test patients, by repeat and by site, and how it got there.

    `samples_seen` counts each training image once per epoch; `weights_digest` is missing from a cross-validation, which
    trains many models. `on_all_sites` and `models` are of the local arm only: the sites' models on the test patients of
    all sites, as a mean and one by one.
    """

    per_repeat: list[MetricsRecord] = []
    per_site: dict[str, MetricsRecord] = {}
    worst_site: WorstSiteRecord | None = None
    reliability: list[ReliabilityBinRecord] = []
    learning_curve: list[CurvePointRecord] = Field([], alias="history")
    selected: SelectedRecord | None = None
    wall_s: float | None = None
    samples_seen: int | None = Field(None, alias="image_passes")
    parameters: ParametersRecord | None = None
    weights_digest: dict[str, str] = {}
    on_all_sites: MetricsRecord | None = None
    models: dict[str, MetricsRecord] = {}
