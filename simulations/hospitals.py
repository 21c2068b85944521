"""The simulated consortium: one data set, dealt out to sites, each split into train, validation and test patients."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from client.site import Site
from common.cache import cache_folder
from common.errors import InputError
from common.manifest import Dataset, ImageRecord, ManifestSettings, load_dataset
from common.plan import TrainingPlan
from common.splits import split_records
from simulations.partition import partition
from simulations.phantom import phantom_folder


@dataclass(frozen=True)
class Hospitals:
    """Everything that is fixed about the data before any training.

    Attributes
    ----------
    dataset : Dataset
        All usable images and the list of those left out.
    synthetic : bool
        True for the built-in phantom.
    partition : str
        How the sites were made.
    sites : tuple of Site
        In the order of their names.
    """

    dataset: Dataset
    synthetic: bool
    partition: str
    sites: tuple[Site, ...]

    def pooled(self, split: str) -> list[ImageRecord]:
        """Return one split ("train", "validation", "test") of all sites, site by site."""
        return [record for site in self.sites for record in getattr(site.split, split)]

    def site_of_each(self, split: str) -> list[str]:
        """Return the site's name for every image of `pooled(split)`."""
        return [site.name for site in self.sites for _ in getattr(site.split, split)]


def load_hospitals(plan: TrainingPlan) -> Hospitals:
    """Read the plan's data set and make its sites; every process that asks gets the same ones.

    Raises
    ------
    InputError
        If the data set cannot be read or dealt out as the plan says.
    """
    return _load(plan.to_json())


@lru_cache(maxsize=1)
def _load(plan_json: str) -> Hospitals:
    plan = TrainingPlan.from_json(plan_json)
    synthetic = not plan.data.path
    folder = phantom_folder(cache_folder()) if synthetic else Path(plan.data.path).expanduser()
    if not synthetic and not folder.exists() and not folder.is_absolute():
        raise InputError(f"data.path {plan.data.path} does not exist below {Path.cwd()}: give an absolute path")
    dataset = load_dataset(folder, _manifest_settings(plan))
    if synthetic:
        dataset = replace(dataset, name="phantom")
    kind, groups = partition(dataset.records, plan.study, plan.training.seed)
    sites = []
    for name, records in groups.items():
        split = split_records(
            records,
            test_fraction=plan.data.test_fraction,
            validation_fraction=plan.data.validation_fraction,
            fold=plan.data.fold,
            seed=plan.training.seed,
        )
        sites.append(Site(name, dataset.classes, split))
    hospitals = Hospitals(dataset, synthetic, kind, tuple(sites))
    if not hospitals.pooled("test"):
        raise InputError(
            "no site has enough patients to keep some for testing: use fewer sites (study.sites) or more images"
        )
    return hospitals


def _manifest_settings(plan: TrainingPlan) -> ManifestSettings:
    data = plan.data
    return ManifestSettings(
        path_column=data.path_column,
        label_column=data.label_column,
        patient_column=data.patient_column,
        site_column=data.site_column,
        patient_pattern=data.patient_pattern,
        positive=data.positive,
    )
