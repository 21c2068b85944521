"""Tables of a sweep: the same study with other families, strategies, partitions, sites, faults and recipes."""

from collections.abc import Sequence

from common.summary.arm import MetricsRecord
from common.summary.summary import Summary, VariantRecord
from common.system.wording import plural
from simulations.report.formatting import MISSING, interval, number, percent
from simulations.report.tables.cells import RATES, correct_and_rates, gap_in_accuracy, metrics_by_arm
from simulations.report.tables.family_tables import family_tables, name_family, sides_differ
from simulations.report.tables.faults_table import faults_table
from simulations.report.tables.recipes_table import PLAN, recipes_tables
from simulations.report.tables.table import Cell, Row, Table, plain_cells
from simulations.study.arms import ARMS, FEDERATED, GAP_ARMS

_STRATEGY_RATES = ("accuracy", "sensitivity", "specificity", "auc")
_GAP_CAPTION = (
    "Small print: 95 % interval. Gap closed: how far federating gets from the hospitals’ own models on all patients "
    "(0 %) to pooled images (100 %), in accuracy."
)


def sweep_tables(summary: Summary) -> list[Table]:
    """Return the tables of a study with variants; none for a study without.

    Every table varies one thing and keeps the rest as in the first variant; variants that differ in several things
    stand in a table of all of them.
    """
    tables = []
    families = _alike(summary.variants, "strategy", "partition", "sites", "faults", "recipe")
    if len(families) > 1 or summary.missing:
        own_size = bool(summary.plan.get("study", {}).get("own_size"))
        tables += family_tables(families, summary.missing, summary.dataset.classes, own_size=own_size)
    strategies = _alike(summary.variants, "family", "partition", "sites", "faults", "recipe")
    if len(strategies) > 1:
        tables.append(_strategies(strategies))
    partitions = _alike(summary.variants, "family", "strategy", "faults", "recipe")
    if len(partitions) > 1:
        tables.append(_partitions(partitions))
    faulty = _alike(summary.variants, "family", "partition", "sites", "recipe")
    if len({one.faults for one in faulty}) > 1:
        tables.append(faults_table(faulty))
    else:
        faulty = []
    recipes: dict[str, VariantRecord] = {}
    # A recipe may change family and strategy too.
    for one in _alike(summary.variants, "partition", "sites", "faults"):
        recipes.setdefault(one.recipe, one)
    if len(recipes) > 1:
        tables += recipes_tables(list(recipes.values()))
    else:
        recipes = {}
    shown = {id(variant) for variant in (*families, *strategies, *partitions, *faulty, *recipes.values())}
    if any(id(variant) not in shown for variant in summary.variants):
        tables.append(_all_variants(summary.variants))
    return tables


def variant_label(variant: VariantRecord, variants: Sequence[VariantRecord]) -> str:
    """Return what sets a variant apart from the others it is shown with."""
    family = name_family(variant, sided=sides_differ(variants))
    words = {
        **_words(variant),
        "Family": f"{family.text}, {family.note}" if family.note else family.text,
        "Sites": plural(variant.sites, "site"),
        "Faults": "no faults" if variant.faults == "none" else variant.faults,
    }
    return ", ".join(words[name] for name in _differing(variants)) or variant.family


def _words(variant: VariantRecord) -> dict[str, str]:
    """Return what makes up a variant, by the names of columns."""
    return {
        "Family": variant.family,
        "Strategy": variant.strategy,
        "Partition": variant.partition,
        "Sites": number(variant.sites),
        "Faults": variant.faults,
        "Recipe": variant.recipe or PLAN,
    }


def _differing(variants: Sequence[VariantRecord]) -> list[str]:
    words = [_words(one) for one in variants]
    return [name for name in words[0] if len({of_one[name] for of_one in words}) > 1]


def _alike(variants: Sequence[VariantRecord], *keys: str) -> list[VariantRecord]:
    """Return the variants that agree with the first one in the given keys."""
    return [one for one in variants if all(getattr(one, key) == getattr(variants[0], key) for key in keys)]


def _strategies(variants: Sequence[VariantRecord]) -> Table:
    rows = []
    for one in variants:
        federated = one.arms.get(FEDERATED)
        if federated is None:
            rows.append(Row([Cell(one.strategy)], reason="not run: no federated arm"))
            continue
        measured = correct_and_rates(federated, _STRATEGY_RATES)
        rows.append(Row([Cell(one.strategy), *measured, gap_in_accuracy(one.gap_closed)]))
    columns = plain_cells("Strategy", "Correct", *(RATES[name] for name in _STRATEGY_RATES), "Gap closed")
    return Table("strategies", "Strategies of the federation", columns, rows, _GAP_CAPTION)


def _partitions(variants: Sequence[VariantRecord]) -> Table:
    return _accuracies_of("partitions", "Partitions and numbers of sites", ["Partition", "Sites"], variants)


def _all_variants(variants: Sequence[VariantRecord]) -> Table:
    return _accuracies_of("variants", "All variants", _differing(variants), variants)


def _accuracies_of(name: str, title: str, differing: Sequence[str], variants: Sequence[VariantRecord]) -> Table:
    """Draw the accuracy of each arm that was trained, and the gap closed where the arms of the gap were."""
    metrics = [metrics_by_arm(one.arms) for one in variants]
    arms = [key for key in GAP_ARMS if any(key in of_one and of_one[key].total for of_one in metrics)]
    gap = len(arms) == len(GAP_ARMS)
    rows = []
    for one, of_one in zip(variants, metrics, strict=True):
        words = _words(one)
        family = name_family(one, sided=sides_differ(variants))
        cells = [family if column == "Family" else Cell(words[column]) for column in differing]
        cells += [_accuracy(of_one.get(key)) for key in arms]
        rows.append(Row([*cells, gap_in_accuracy(one.gap_closed)] if gap else cells))
    columns = [*differing, *(ARMS[key].short_title for key in arms), *(["Gap closed"] if gap else [])]
    return Table(
        name, f"{title}: accuracy", plain_cells(*columns), rows, _GAP_CAPTION if gap else "Small print: 95 % interval."
    )


def _accuracy(metrics: MetricsRecord | None) -> Cell:
    if metrics is None or not metrics.total:
        return Cell(MISSING)
    return Cell(percent(metrics.accuracy), interval("accuracy", metrics))
