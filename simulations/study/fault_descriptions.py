"""The faults that a simulated federation is given on purpose, in words."""

from collections.abc import Mapping
from typing import Any

from common.system.wording import plural


def name_faults(dropout: float, hostile_sites: int, hostile: str) -> str:
    """Return the faults of a federation in a few words, such as `30 % drop out`; `none` without any."""
    words = [f"{100 * dropout:g} % drop out"] if dropout else []
    words += [f"{hostile_sites} hostile, {hostile}"] if hostile_sites else []
    return ", ".join(words) or "none"


def describe_faults(study: Mapping[str, Any], sites: int) -> list[str]:
    """Return one sentence for each fault that a federation is given on purpose.

    Parameters
    ----------
    study : mapping
        The plan's group `study`.
    sites : int
        Number of hospitals.
    """
    sentences = []
    if dropout := study.get("dropout"):
        sentences.append(
            f"Hospitals dropped out of the federation on purpose: every reply to a round of training was lost with a "
            f"probability of {100 * dropout:g} %."
        )
    if hostile := study.get("hostile_sites"):
        sent = "its update with the sign flipped" if study.get("hostile") == "flipped" else "100 times its update"
        sentences.append(
            f"{hostile} of {plural(sites, 'hospital')} {'was' if hostile == 1 else 'were'} hostile on purpose, and "
            f"{'' if hostile == 1 else 'each '}sent {sent} in every round of the federation."
        )
    return sentences
