"""What a lesion of the phantom consists of, and how the disease shows in it.

What makes a lesion *positive* is structure, not colour: sharply bounded, closely packed vascular lakes parted by pale
septa, or a central scar crossed by bright strands inside a ring of delicate network. Negatives have look-alikes of
both (soft scattered globules; a smooth pale patch, off centre, in an even network) in the same colours, and the mild
cases of both classes overlap, so that neither a colour nor one layer alone tells the class.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Findings:
    """What a lesion consists of; strengths are optical densities or opacities, lengths are in half-scene units."""

    melanin: float
    blotchiness: float
    blood: float
    network: float
    network_pitch: float
    network_line: float
    network_ring: float
    lakes: float
    lake_count: int
    lake_radius: float
    lake_edge: float
    lake_packing: float
    lake_melanin: float
    septa: float
    scar: float
    scar_radius: float
    scar_offset: float
    strands: float
    dots: int
    cysts: int


def sample_findings(rng: np.random.Generator, *, positive: bool, lacunar: bool) -> Findings:
    """Draw the layers of one lesion.

    Parameters
    ----------
    rng : numpy.random.Generator
        The lesion's own generator.
    positive : bool
        Whether the lesion has the disease.
    lacunar : bool
        Which of the two families it belongs to: vascular lakes and globules, or scars and pale patches. Both
        families exist in both classes.

    Returns
    -------
    Findings
        Layers whose distinguishing structure grows with a random grade; the lowest grades of the two classes overlap.
    """
    grade = float(rng.beta(3.0, 1.1))
    typical = 0.5 + 0.5 * grade if positive else 0.5 - 0.5 * grade

    def between(benign: float, diseased: float, jitter: float = 0.15) -> float:
        """Return a value on the way from the benign to the diseased end, each property with its own scatter."""
        at = float(np.clip(typical + jitter * rng.standard_normal(), 0.0, 1.0))
        return benign + (diseased - benign) * at

    ring = between(0.0, 1.0) if not lacunar else 0.0
    return Findings(
        melanin=float(rng.uniform(0.15, 0.85)),
        blotchiness=float(rng.uniform(0.05, 0.3)),
        blood=float(rng.uniform(0.0, 0.6)),
        network=float(rng.uniform(0.15, 0.55)) * (float(rng.random() < 0.4) if lacunar else 1.0),
        network_pitch=between(0.080, 0.072) * float(rng.uniform(0.85, 1.2)),
        network_line=between(0.8, 0.6),
        network_ring=ring,
        lakes=float(rng.uniform(0.5, 1.3)) if lacunar else 0.0,
        lake_count=int(rng.integers(9, 30)),
        lake_radius=between(0.072, 0.084) * float(rng.uniform(0.75, 1.3)),
        lake_edge=between(0.065, 0.012),
        lake_packing=between(0.0, 1.0),
        lake_melanin=float(rng.uniform(0.0, 0.7)),
        septa=between(-0.15, 0.25) if lacunar else 0.0,
        scar=float(rng.uniform(0.35, 0.8)) if not lacunar else 0.3 * float(rng.random() < 0.2),
        scar_radius=float(rng.uniform(0.35, 0.62)),
        scar_offset=between(0.45, 0.05),
        strands=between(-0.1, 0.75) if not lacunar else 0.0,
        dots=int(rng.integers(0, 14)),
        cysts=int(rng.integers(0, 7)),
    )
