"""Tables of a sweep: the same study with other families, strategies, partitions, numbers of sites and faults."""

from collections.abc import Callable, Mapping, Sequence

from common.summary.arm import MetricsRecord
from common.summary.comparison import GapClosedRecord, PairedTestRecord
from common.summary.summary import MissingRecord, Summary, VariantRecord
from simulations.report.formatting import (
    MISSING,
    correct_of_total,
    count,
    interval,
    limits,
    megabytes,
    number,
    percent,
    rate,
    seconds,
    share,
    share_limits,
    signed,
    signed_limits,
)
from simulations.report.tables import SHORT_TITLES, Cell, Row, Table, metrics_by_arm, millions

_ShowMetrics = Callable[[MetricsRecord], Cell]


def sweep_tables(summary: Summary) -> list[Table]:
    """Return the tables of a study with variants; none for a study without.

    Every table varies one thing and keeps the rest as in the first variant; variants that differ in several things
    stand in a table of all of them.
    """
    tables = []
    families = same(summary.variants, "strategy", "partition", "sites", "faults")
    if len(families) > 1 or summary.missing:
        tables += _family_tables(families, summary.missing, summary.dataset.classes)
    strategies = same(summary.variants, "family", "partition", "sites", "faults")
    if len(strategies) > 1:
        tables.append(_strategies(strategies))
    partitions = same(summary.variants, "family", "strategy", "faults")
    if len(partitions) > 1:
        tables.append(_partitions(partitions))
    faulty = same(summary.variants, "family", "partition", "sites")
    if len({one.faults for one in faulty}) > 1:
        tables.append(faults_table(faulty))
    else:
        faulty = []
    shown = {id(variant) for variant in (*families, *strategies, *partitions, *faulty)}
    if any(id(variant) not in shown for variant in summary.variants):
        tables.append(_all_variants(summary.variants))
    return tables


def same(variants: Sequence[VariantRecord], *keys: str) -> list[VariantRecord]:
    """Return the variants that agree with the first one in the given keys."""
    return [one for one in variants if all(getattr(one, key) == getattr(variants[0], key) for key in keys)]


def variant_label(variant: VariantRecord, variants: Sequence[VariantRecord]) -> str:
    """Return what sets a variant apart from the others it is shown with."""
    words = {
        "family": variant.family,
        "strategy": variant.strategy,
        "partition": variant.partition,
        "sites": f"{variant.sites} site{'' if variant.sites == 1 else 's'}",
        "faults": "no faults" if variant.faults == "none" else variant.faults,
    }
    differing = [words[key] for key in words if len({getattr(one, key) for one in variants}) > 1]
    return ", ".join(differing) or variant.family


def _family_tables(
    variants: Sequence[VariantRecord], missing: Sequence[MissingRecord], classes: Sequence[str]
) -> list[Table]:
    def correct(metrics: MetricsRecord) -> Cell:
        return _with_limits(correct_of_total(metrics), metrics, "accuracy")

    def found(metrics: MetricsRecord) -> Cell:
        if len(classes) != 2 or metrics.confusion is None:
            return Cell(rate("sensitivity", metrics.sensitivity), interval("sensitivity", metrics))
        positives = metrics.confusion[1]
        return _with_limits(f"{count(positives[1])}/{count(sum(positives))}", metrics, "sensitivity")

    def wrong(metrics: MetricsRecord) -> Cell:
        if metrics.accuracy is None:
            return Cell(MISSING)
        accuracy = metrics.ci95.get("accuracy")
        rates = percent(1 - metrics.accuracy)
        around = f" ({limits('error', (1 - accuracy[1], 1 - accuracy[0]))})" if accuracy else ""
        return Cell(f"{count(metrics.total - metrics.correct)}/{metrics.total}", rates + around)

    positive = f"“{classes[1]}” found, and sensitivity" if len(classes) == 2 else "Sensitivity, mean over the classes"
    tables = [
        _by_family("families-correct", "Families: correct predictions and accuracy", variants, missing, correct),
        _by_family("families-sensitivity", f"Families: {positive}", variants, missing, found),
        _by_family("families-errors", "Families: errors and error rate", variants, missing, wrong),
    ]
    return [*tables, _further_rates(variants, missing), _cost_of_families(variants, missing)]


def _by_family(
    name: str, title: str, variants: Sequence[VariantRecord], missing: Sequence[MissingRecord], show: _ShowMetrics
) -> Table:
    keys = _arm_keys(variants)
    rows = [Row([Cell(one.family), *(_shown(metrics_by_arm(one.arms), key, show) for key in keys)]) for one in variants]
    return Table(name, title, [Cell("Family"), *(Cell(SHORT_TITLES[key]) for key in keys)], rows + _not_run(missing))


def _further_rates(variants: Sequence[VariantRecord], missing: Sequence[MissingRecord]) -> Table:
    rates = {"precision": "Precision", "specificity": "Specificity", "f1": "F1", "auc": "AUC"}
    rows = [
        Row(
            [
                Cell(one.family),
                Cell(SHORT_TITLES[key]),
                *(Cell(rate(name, getattr(metrics, name)), interval(name, metrics)) for name in rates),
            ],
            arm=key,
        )
        for one in variants
        for key, metrics in metrics_by_arm(one.arms).items()
    ]
    columns = [Cell("Family"), Cell("Arm"), *(Cell(title) for title in rates.values())]
    caption = "Small print: 95 % interval."
    return Table("families-rates", "Families: further rates", columns, rows + _not_run(missing), caption)


def _cost_of_families(variants: Sequence[VariantRecord], missing: Sequence[MissingRecord]) -> Table:
    rows = []
    for one in variants:
        for key in SHORT_TITLES:
            arm = one.arms.get(key)
            if arm is None:
                continue
            weights = arm.parameters
            cells = [
                Cell(millions(weights.trained if weights else None)),
                Cell(millions(weights.total if weights else None)),
                Cell(megabytes(one.cost.bytes_exchanged if key == "federated" else 0)),
                Cell(seconds(arm.wall_s)),
            ]
            rows.append(
                Row([Cell(one.family), Cell(SHORT_TITLES[key].removesuffix(", own patients")), *cells], arm=key)
            )
    columns = ("Family", "Arm", "Weights trained, millions", "All weights, millions", "MB sent", "Time")
    caption = "MB sent: both ways, all rounds and sites of one federation."
    title = "Families: cost"
    return Table("families-cost", title, [Cell(column) for column in columns], rows + _not_run(missing), caption)


def _strategies(variants: Sequence[VariantRecord]) -> Table:
    rows = []
    for one in variants:
        federated = one.arms.get("federated")
        if federated is None:
            rows.append(Row([Cell(one.strategy)], reason="not run: no federated arm"))
            continue
        cells = [Cell(rate(name, getattr(federated, name)), interval(name, federated)) for name in _STRATEGY_RATES]
        rows.append(
            Row([Cell(one.strategy), Cell(correct_of_total(federated)), *cells, _gap(one.gap_closed, "accuracy")])
        )
    columns = ["Strategy", "Correct", *_STRATEGY_RATES.values(), "Gap closed"]
    return Table("strategies", "Strategies of the federation", [Cell(column) for column in columns], rows, _GAP_CAPTION)


_STRATEGY_RATES = {"accuracy": "Accuracy", "sensitivity": "Sensitivity", "specificity": "Specificity", "auc": "AUC"}
_GAP_CAPTION = (
    "Small print: 95 % interval. Gap closed: how far federating gets from the hospitals’ own models on all patients "
    "(0 %) to pooled images (100 %), in accuracy."
)


def _partitions(variants: Sequence[VariantRecord]) -> Table:
    rows = [
        Row([Cell(one.partition), Cell(number(one.sites)), *_accuracies(one), _gap(one.gap_closed, "accuracy")])
        for one in variants
    ]
    columns = ["Partition", "Sites", *(SHORT_TITLES[key] for key in _GAP_ARMS), "Gap closed"]
    title = "Partitions and numbers of sites: accuracy"
    return Table("partitions", title, [Cell(column) for column in columns], rows, _GAP_CAPTION)


_GAP_ARMS = ("centralized", "federated", "local-all")


def faults_table(variants: Sequence[VariantRecord]) -> Table:
    """Return one row a strategy and fault: what federated training reached, and how far that is from undisturbed."""
    several = len({one.strategy for one in variants}) > 1
    first = variants[0].strategy
    rows = []
    for one in variants:
        federated = one.arms.get("federated")
        if federated is None:
            continue
        cells = [
            Cell(one.strategy),
            Cell(one.faults),
            Cell(correct_of_total(federated)),
            Cell(percent(federated.accuracy), interval("accuracy", federated)),
            _points(one.against.get("same")),
            *([_points(one.against.get("first"))] if several else []),
            Cell(f"{one.replies.left_out}/{one.replies.expected}" if one.replies else MISSING),
        ]
        rows.append(Row(cells))
    compared = ["Against none", *([f"Against {first}"] if several else [])]
    columns = ["Strategy", "Faults", "Correct", "Accuracy", *compared, "Not used"]
    caption = (
        "The federated arm; hospitals failed on purpose. Small print: 95 % interval. Against none: points of accuracy "
        "more than the same strategy undisturbed, on the same images"
        f"{f'; against {first}: than {first} undisturbed' if several else ''}. Not used: replies to rounds that were "
        "lost, refused by the server, or not asked for in quarantine."
    )
    return Table("faults", "Hospitals that fail: federated training", [Cell(one) for one in columns], rows, caption)


def _points(test: PairedTestRecord | None) -> Cell:
    if test is None or test.accuracy is None:
        return Cell(MISSING)
    around = test.accuracy.ci95
    limits = signed_limits((100 * around[0], 100 * around[1])) if around else ""
    return Cell(signed(100 * test.accuracy.difference), limits)


def _all_variants(variants: Sequence[VariantRecord]) -> Table:
    rows = [
        Row(
            [
                Cell(one.family),
                Cell(one.strategy),
                Cell(one.partition),
                Cell(number(one.sites)),
                Cell(one.faults),
                *_accuracies(one),
                _gap(one.gap_closed, "accuracy"),
            ]
        )
        for one in variants
    ]
    columns = [
        "Family",
        "Strategy",
        "Partition",
        "Sites",
        "Faults",
        *(SHORT_TITLES[key] for key in _GAP_ARMS),
        "Gap closed",
    ]
    return Table("variants", "All variants: accuracy", [Cell(column) for column in columns], rows, _GAP_CAPTION)


def _accuracies(variant: VariantRecord) -> list[Cell]:
    found = metrics_by_arm(variant.arms)
    return [
        _shown(found, key, lambda metrics: Cell(percent(metrics.accuracy), interval("accuracy", metrics)))
        for key in _GAP_ARMS
    ]


def _gap(gaps: Mapping[str, GapClosedRecord] | None, name: str) -> Cell:
    gap = (gaps or {}).get(name)
    return Cell(share(gap.value), share_limits(gap.ci95)) if gap else Cell(MISSING)


def _shown(found: Mapping[str, MetricsRecord], key: str, show: _ShowMetrics) -> Cell:
    return show(found[key]) if key in found and found[key].total else Cell(MISSING)


def _arm_keys(variants: Sequence[VariantRecord]) -> list[str]:
    ran = {key for one in variants for key in metrics_by_arm(one.arms)}
    return [key for key in SHORT_TITLES if key in ran]


def _with_limits(text: str, metrics: MetricsRecord, name: str) -> Cell:
    around = interval(name, metrics)
    return Cell(text, percent(getattr(metrics, name)) + (f" ({around})" if around else ""))


def _not_run(missing: Sequence[MissingRecord]) -> list[Row]:
    return [Row([Cell(one.family)], reason=f"not run: {one.reason}") for one in missing]
