"""Tables as CSV."""

from common.summary.summary_file import read_summary
from simulations.report.tables.arm_tables import sites_table
from simulations.report.tables.table import table_csv
from tests.simulations.report.cases import RunFactory


def test_no_cell_of_a_csv_file_is_taken_for_a_formula(make_run: RunFactory) -> None:
    run = make_run(sites=(("=1+1", 30), ("@site", 30)))
    text = table_csv(sites_table(read_summary(run)))
    assert "\n'=1+1," in text
    assert "\n'@site," in text
