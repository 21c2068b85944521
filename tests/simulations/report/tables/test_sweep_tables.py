"""Tables of a sweep: each varies one thing, and says why a family is missing and what faults cost."""

from typing import Any

from common.summary.summary_file import read_summary
from simulations.report.tables.sweep_tables import sweep_tables, variant_label
from simulations.report.tables.table import table_csv
from simulations.report.terminal import render_faults, render_table
from tests.simulations.report.cases import SWEEP, RunFactory, against
from tests.simulations.report.reading import draw, printed


def test_a_sweep_is_shown_by_what_varies_and_a_missing_family_says_why(make_run: RunFactory) -> None:
    words = draw(make_run(**SWEEP))[1].words
    for title in (
        "Families: correct predictions and accuracy",
        "Families: “positive” found, and sensitivity",
        "Families: errors and error rate",
        "Families: further rates",
        "Families: cost",
        "Strategies of the federation",
        "Partitions and numbers of sites: accuracy",
        "All variants: accuracy",
    ):
        assert title in words
    assert "not run: no pretrained weights for vgg16" in words
    alone = sweep_tables(read_summary(make_run(missing=SWEEP["missing"], variants=({},))))
    assert all(table.rows[-1].reason.startswith("not run: no pretrained") for table in alone)
    assert sweep_tables(read_summary(make_run())) == []


def test_families_that_saw_images_of_other_sides_say_which(make_run: RunFactory) -> None:
    lite0, lite1, lite2 = ({"family": f"efficientnet_lite{n}", "size": size} for n, size in enumerate((224, 240, 260)))
    run = make_run(variants=(lite0, lite1, lite2), missing=(("vgg16", "no weights"),))
    summary = read_summary(run)
    tables = sweep_tables(summary)
    assert [table.name for table in tables if table.name.startswith("families-")] == [table.name for table in tables]
    for table in tables:
        headings = dict.fromkeys((row.cells[0].text, row.cells[0].note) for row in table.rows)
        assert list(headings) == [
            ("efficientnet_lite0", "224 px images"),
            ("efficientnet_lite1", "240 px images"),
            ("efficientnet_lite2", "260 px images"),
            ("vgg16", ""),
        ]
        assert "\nefficientnet_lite1 (240 px images)," in table_csv(table)
    assert printed(render_table(summary)).count("(260 px images)") > 5
    assert "260 px images" in draw(run)[1].words
    assert variant_label(summary.variants[1], summary.variants) == "efficientnet_lite1, 240 px images"
    several = read_summary(make_run(variants=(lite0, lite1 | {"strategy": "fedprox"})))
    (one,) = sweep_tables(several)
    assert [row.cells[0].note for row in one.rows] == ["224 px images", "240 px images"]


def test_families_on_one_side_say_so_only_where_each_has_its_own(make_run: RunFactory) -> None:
    def notes(**run: Any) -> list[str]:
        return [row.cells[0].note for row in sweep_tables(read_summary(make_run(**run)))[0].rows]

    two = ({"size": 224}, {"family": "resnet50", "size": 224})
    assert notes(variants=two) == ["", ""]
    assert notes(variants=two, faults={"own_size": True}) == ["224 px images"] * 2
    earlier = ({}, {"family": "resnet50"})
    assert notes(variants=earlier, faults={"own_size": True}) == ["", ""]


def test_a_table_says_what_faults_cost_and_leaves_them_out_of_the_others(make_run: RunFactory) -> None:
    test = against("centralized", -0.025, 0.02, 0.4)["federated-centralized"]
    faulty = {"faults": "1 hostile, flipped", "against": {"same": test}, "replies": {"expected": 300, "left_out": 7}}
    run = make_run(variants=({}, {"strategy": "krum"}, faulty, faulty | {"strategy": "krum"}), synthetic=True)
    summary = read_summary(run)
    strategies, table = sweep_tables(summary)
    assert [row.cells[0].text for row in strategies.rows] == ["fedavg", "krum"]
    cells = [[cell.text for cell in row.cells] for row in table.rows]
    assert [row[:2] for row in cells] == [
        ["fedavg", "none"],
        ["krum", "none"],
        ["fedavg", "1 hostile, flipped"],
        ["krum", "1 hostile, flipped"],
    ]
    assert cells[0][4:] == ["–", "–", "–"]
    assert cells[2][4:] == ["−2.5", "–", "7/300"]
    (alone,) = sweep_tables(read_summary(make_run(variants=({}, faulty))))
    assert [heading.text for heading in alone.columns][4:] == ["Against none", "Not used"]
    text = printed(render_faults(summary))
    assert "Synthetic data" in text
    assert "4 hospitals (natural), 24 rounds" in text
    assert "hostile" in draw(run)[1].words
