"""The environment in which all pages are rendered."""

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from common.system.wording import plural
from simulations.report import formatting
from simulations.report.limitations import tell_faults
from simulations.report.plots.palette import DARK, LIGHT, PRINT

_HOME = "simulations.report"


def page_templates(package: str = _HOME) -> Environment:
    """Return the environment of the pages: everything is escaped, and an unknown name is an error.

    Parameters
    ----------
    package : str
        Whose `templates/` are looked in first; those of the report are there for all.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name, "templates") for name in dict.fromkeys((package, _HOME))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "plural": plural,
        "formatting": formatting,
        "tell_faults": tell_faults,
        "palettes": {"light": LIGHT, "dark": DARK, "print": PRINT},
    }
    return environment
