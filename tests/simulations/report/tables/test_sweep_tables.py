"""Tables of a sweep: each varies one thing, and says why a family is missing and what faults cost."""

from common.summary.summary_file import read_summary
from simulations.report.tables.sweep_tables import sweep_tables
from simulations.report.terminal import render_faults
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
