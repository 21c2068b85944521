"""Can each simulated hospital train, choose its best round, and be tested?"""

from client.preflight.findings import Finding, passed, warn
from client.training.site import Site
from common.plan.groups import DataPlan
from common.system.wording import first_few, plural
from simulations.sites.consortium import SimulatedConsortium


def check_sites_are_split(consortium: SimulatedConsortium, data: DataPlan) -> Finding:
    """Find the sites that have too few patients for the sets of the first split that the plan asks for."""
    wanted = ("validation", "test") if data.validation_fraction else ("test",)
    lacking = [
        f"{site.name} has no {' and no '.join(missing)} images"
        for site in consortium.sites
        if (missing := [name for name in wanted if not getattr(site.split, name)])
    ]
    if lacking:
        mend = "they have too few patients for it: take fewer sites (--sites), or accept that they only train"
        return warn("splits", f"{plural(len(lacking), 'site')} of {len(consortium.sites)}: {first_few(lacking)}", mend)
    if not data.validation_fraction:
        return passed("splits", "every site has training and test images; no patients are held back for validation")
    return passed("splits", "every site has training, validation and test images")


def check_classes_of_sites(consortium: SimulatedConsortium) -> Finding:
    """Find the sites that lack a class."""
    lacking = [f"{site.name} has no {first_few(missing)}" for site in consortium.sites if (missing := _missing(site))]
    if lacking:
        mend = "take fewer sites (--sites) or study.partition=iid, unless you want them so unequal"
        if consortium.partition == "natural":
            mend = "right if these hospitals never see it; else see that the site column is not the class"
        return warn("classes of sites", f"{plural(len(lacking), 'site')}: {first_few(lacking)}", mend)
    return passed("classes of sites", "every site has every class")


def _missing(site: Site) -> list[str]:
    present = {record.label for record in (*site.split.train, *site.split.validation, *site.split.test)}
    return [name for label, name in enumerate(site.classes) if label not in present]
