"""The simulated consortium: one data set, dealt out to sites, each split into train, validation and test patients."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

from client.training.site import Site
from common.dataset.loading import load_dataset
from common.dataset.noise_filter import describe_noise_filter
from common.dataset.official_split import check_official_split, describe_official_split, split_as_planned
from common.dataset.records import Dataset, ImageRecord
from common.dataset.settings import DatasetSettings
from common.errors import InputError
from common.plan.groups import DataPlan
from common.plan.study import StudyPlan
from common.plan.training_plan import TrainingPlan
from common.system.folders import cache_folder
from simulations.sites.partition import partition


@dataclass(frozen=True)
class SimulatedConsortium:
    """The images and sites of a simulation, fixed before any training.

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
    plan_notes : tuple of str
        In words, what the plan makes of the images: of a split that they bring, and of their noise.
    """

    dataset: Dataset
    synthetic: bool
    partition: str
    sites: tuple[Site, ...]
    plan_notes: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever shows a result must tell about how the images were read, split and filtered, a sentence each."""
        return (*self.dataset.notes, *self.plan_notes)

    def pooled(self, split: str) -> list[ImageRecord]:
        """Return one split ("train", "validation", "test") of all sites, site by site."""
        return [record for site in self.sites for record in getattr(site.split, split)]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything about the images that a training could depend on."""
        lines = sorted(
            f"{site.name}\0{split}\0{record.name}\0{record.sha256}\0{record.label}\0{record.patient}"
            for site in self.sites
            for split in ("train", "validation", "test")
            for record in getattr(site.split, split)
        )
        return hashlib.sha256("\n".join([*self.dataset.classes, *lines]).encode("utf-8", "surrogatepass")).hexdigest()

    def site_of_each(self, split: str) -> list[str]:
        """Return the site's name for every image of `pooled(split)`."""
        return [site.name for site in self.sites for _ in getattr(site.split, split)]


def load_consortium(plan: TrainingPlan) -> SimulatedConsortium:
    """Read the plan's data set and make its sites, which are the same in every process.

    Raises
    ------
    InputError
        If the data set cannot be read or dealt out as the plan says.
    """
    return _consortium(plan.data.model_dump_json(), plan.study.model_dump_json(), plan.training.seed)


@lru_cache(maxsize=64)
def _consortium(data_json: str, study_json: str, seed: int) -> SimulatedConsortium:
    data, study = DataPlan.model_validate_json(data_json), StudyPlan.model_validate_json(study_json)
    dataset = _dataset(data.path, DatasetSettings.of(data, data.class_names))
    check_official_split(dataset, data)
    kind, groups = partition(dataset.records, study)
    sites = []
    for name, records in groups.items():
        sites.append(Site(name, dataset.classes, split_as_planned(name, records, data, seed)))
    if study.hostile_sites >= len(sites):
        raise InputError(f"study.hostile_sites = {study.hostile_sites} of {len(sites)} sites: leave an honest one")
    told = (*describe_official_split(dataset, data), *describe_noise_filter(dataset.records, data))
    consortium = SimulatedConsortium(dataset, not data.path, kind, tuple(sites), told)
    if not consortium.pooled("test"):
        raise InputError(
            "no site has enough patients to keep some for testing: use fewer sites (study.sites) or more images"
        )
    return consortium


@lru_cache(maxsize=2)
def _dataset(path: str, settings: DatasetSettings) -> Dataset:
    if not path:
        from simulations.phantom.data_set import phantom_folder  # which draws with SciPy

        return replace(load_dataset(phantom_folder(cache_folder()), settings), name="phantom")
    folder = Path(path).expanduser()
    if not folder.exists() and not folder.is_absolute():
        raise InputError(f"data.path {path} does not exist below {Path.cwd()}: give an absolute path")
    return load_dataset(folder, settings)
