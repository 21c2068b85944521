"""The contact sheet: one page that opens offline and shows what a data set is taken for, and its images."""

from pathlib import Path

from client.preflight.findings import Status
from common.errors import InputError
from common.plan.training_plan import TrainingPlan
from common.system.files import write_text_atomically
from simulations.preflight.image_sides import describe_sides, sides_read, sides_seen
from simulations.preflight.inspection import Inspection
from simulations.preflight.reading import classes_table, describe_reading, sites_table
from simulations.preflight.thumbnails import draw_sheets
from simulations.report.page_templates import page_templates
from simulations.sites.consortium import SimulatedConsortium


def write_contact_sheet(
    inspection: Inspection, consortium: SimulatedConsortium, plan: TrainingPlan, path: Path
) -> Path:
    """Write the page of a data set.

    Parameters
    ----------
    inspection : Inspection
        From `inspect_plan`.
    consortium : SimulatedConsortium
        That of the inspection, which is there.
    plan : TrainingPlan
        How the network sees the images.
    path : Path
        Of the page; its folder is made if it is missing, and an earlier page is replaced in one step.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        If the page cannot be written there.
    """
    page = (
        page_templates("simulations.preflight")
        .get_template("contact_sheet.html.j2")
        .render(
            name=inspection.report.hospital,
            synthetic=consortium.synthetic,
            place=plan.data.path,
            seen=describe_sides(sides_seen(plan), "×"),
            read=describe_sides(sides_read(plan), "×"),
            denoise=plan.data.denoise,
            reading=describe_reading(consortium),
            findings={status: [f for f in inspection.report.findings if f.status == status] for status in Status},
            tables=[classes_table(consortium, inspection.survey), sites_table(consortium)],
            sheets=draw_sheets(consortium, plan),
            excluded=consortium.dataset.excluded,
        )
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, page)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): choose another with --output") from error
    return path
