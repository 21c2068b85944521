"""Draws the phantom's synthetic lesions on skin, layer by layer, before any camera sees them.

A lesion is a stack of layers (`Findings`): melanin and blood darken the skin as absorbers do (Beer-Lambert law), scar
tissue and keratin lie over it. All pictures here are RGB planes, shape (3, rows, columns), of reflectance 0 to 1.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simulations.phantom.findings import Findings

Field = NDArray[np.float64]

SCENE = 272
"""Side of a drawn scene in pixels; wider than any camera's view, so that a view can be turned and shifted."""


def rgb(red: float, green: float, blue: float) -> Field:
    """Return a colour as planes, shape (3, 1, 1): pictures here are planes first, which numpy works on fastest."""
    return np.array([red, green, blue]).reshape(3, 1, 1)


_PALE_SKIN = rgb(0.93, 0.80, 0.72)
_MELANIN = rgb(0.55, 0.95, 1.30)
_BLOOD = rgb(0.22, 1.00, 0.82)
_SCAR_TISSUE = rgb(0.93, 0.83, 0.80)
_KERATIN = rgb(0.95, 0.90, 0.78)


@lru_cache(maxsize=64)
def _spline_weights(size: int, cells: int) -> Field:
    """Return the (size, cells + 3) matrix that spreads a coarse grid over `size` pixels by cubic B-splines."""
    position = (np.arange(size) + 0.5) * cells / size
    left = np.floor(position).astype(np.int64)
    t = position - left
    basis = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    weights = np.zeros((size, cells + 3))
    for offset, part in enumerate(basis):
        weights[np.arange(size), left + offset] = part / 6
    return weights


def smooth_noise(rng: np.random.Generator, cells: int, size: int = SCENE) -> Field:
    """Return a (size, size) random field of unit variance whose features are about `size / cells` pixels wide."""
    weights = _spline_weights(size, cells)
    spread = float((weights**2).sum(axis=1).mean())
    field: Field = weights @ rng.standard_normal((cells + 3, cells + 3)) @ weights.T
    return field / spread


def soft_step(values: Field, width: float) -> Field:
    """Return 0 below `-width`, 1 above `width` and a smooth rise between."""
    t = np.clip(values / (2 * width) + 0.5, 0.0, 1.0)
    return t * t * (3 - 2 * t)


def lay_over(picture: Field, cover: Field, colour: Field) -> None:
    """Paint `colour` (see `rgb`) over a picture of planes, in place, as far as `cover` (0 to 1) says."""
    picture += (colour - picture) * cover


def draw_scene(rng: np.random.Generator, findings: Findings) -> Field:
    """Draw one lesion on its patch of skin.

    Parameters
    ----------
    rng : numpy.random.Generator
        The lesion's own generator; in the same state it draws the same lesion again.
    findings : Findings
        The layers to draw.

    Returns
    -------
    numpy.ndarray
        Reflectance, RGB planes, shape (3, SCENE, SCENE), values within 0 and 1.
    """
    axis = (np.arange(SCENE) + 0.5) / SCENE * 2 - 1
    y, x = np.meshgrid(axis, axis, indexing="ij")
    depth = _lesion_depth(rng, x, y)
    mask = soft_step(depth - 0.02, float(rng.uniform(0.05, 0.22)))

    melanin = rng.uniform(0.04, 0.22) + 0.03 * smooth_noise(rng, 3) + 0.012 * smooth_noise(rng, 24)
    blood = rng.uniform(0.05, 0.2) + 0.035 * smooth_noise(rng, 4) + 0.02 * smooth_noise(rng, 36)
    creases = np.abs(smooth_noise(rng, 30)) + np.abs(smooth_noise(rng, 44))
    melanin = melanin + 0.05 * np.exp(-3.0 * creases)

    blotches = 1 + findings.blotchiness * (smooth_noise(rng, 6) + 0.5 * smooth_noise(rng, 20))
    melanin = melanin + mask * findings.melanin * np.clip(blotches, 0.2, None)
    blood = blood + mask * findings.blood * np.clip(1 + 0.4 * smooth_noise(rng, 5), 0.0, None)

    net = _network(rng, x, y, findings)
    centre = soft_step(depth - 0.42, 0.25)
    melanin = melanin + net * mask * findings.network * (1 - findings.network_ring * centre) * 1.6

    inside = soft_step(depth - 0.03, 0.06)
    lakes, septa = (layer * inside for layer in _lakes(rng, x, y, findings))
    blood = blood + lakes * findings.lakes * (1 - 0.5 * findings.lake_melanin)
    melanin = melanin + lakes * findings.lakes * findings.lake_melanin * 0.7
    melanin = melanin + 0.8 * _spots(rng, x, y, mask, findings.dots, 0.013)

    colour = _PALE_SKIN * np.exp(-melanin * _MELANIN - blood * _BLOOD)
    lay_over(colour, max(findings.septa, 0.0) * septa, _SCAR_TISSUE)
    scar = findings.scar * _scar(rng, x, y, findings) * soft_step(depth - 0.08, 0.1)
    lay_over(colour, np.clip(scar, 0.0, 0.9), _SCAR_TISSUE)
    lay_over(colour, 0.55 * _spots(rng, x, y, mask, findings.cysts, 0.018), _KERATIN)
    return np.clip(colour, 0.0, 1.0)


def _lesion_depth(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """Return how far inside an irregular outline a pixel lies: 1 in the middle, 0 at the border, negative outside."""
    turn, squeeze = rng.uniform(0, np.pi), rng.uniform(0.72, 1.0)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    distance = np.sqrt(along**2 + (across / squeeze) ** 2)
    ragged = rng.uniform(0.04, 0.10) * smooth_noise(rng, 5) + rng.uniform(0.008, 0.03) * smooth_noise(rng, 16)
    depth: Field = 1 - (distance + ragged) / rng.uniform(0.42, 0.66)
    return depth


def _network(rng: np.random.Generator, x: Field, y: Field, findings: Findings) -> Field:
    """Return a honeycomb of lines (0 in the holes, 1 on the lines), bent and uneven as in pigment."""
    if findings.network == 0:
        return np.zeros_like(x)
    bend = 0.2 * findings.network_pitch
    bent_x = x + 0.03 * smooth_noise(rng, 5) + bend * smooth_noise(rng, 20)
    bent_y = y + 0.03 * smooth_noise(rng, 5) + bend * smooth_noise(rng, 20)
    turn = rng.uniform(0, np.pi)
    wave = np.zeros_like(x)
    for third in range(3):
        angle = turn + third * np.pi / 3
        wave += np.cos((bent_x * np.cos(angle) + bent_y * np.sin(angle)) * 2 * np.pi / findings.network_pitch)
    lines = soft_step(findings.network_line - 0.75 - wave, 0.8)
    return lines * np.clip(0.7 + 0.4 * smooth_noise(rng, 7), 0.0, 1.3)


def _lakes(rng: np.random.Generator, x: Field, y: Field, findings: Findings) -> tuple[Field, Field]:
    """Return round lakes, packed or scattered, and the septa around and between them; both 0 to 1."""
    lakes, reach = np.zeros_like(x), np.zeros_like(x)
    if findings.lakes == 0:
        return lakes, reach
    wobble = 0.016 * smooth_noise(rng, 18)
    for column, row in _lake_centres(rng, findings):
        radius = findings.lake_radius * rng.uniform(0.65, 1.3)
        strength = rng.uniform(0.65, 1.0)
        window = _window(column, row, radius + findings.lake_edge + 0.10)
        distance = np.hypot(x[window] - column, y[window] - row) + wobble[window]
        lakes[window] = np.maximum(lakes[window], strength * soft_step(radius - distance, findings.lake_edge))
        reach[window] = np.maximum(reach[window], soft_step(radius + 0.035 - distance, 0.06))
    veil = np.clip(0.6 + 0.5 * smooth_noise(rng, 8), 0.0, 1.2)
    return lakes, reach * veil * (1 - np.minimum(1.3 * lakes, 1.0))


def _lake_centres(rng: np.random.Generator, findings: Findings) -> list[tuple[float, float]]:
    """Return lake centres: the more packed, the closer to a common middle and the more evenly apart."""
    middle = rng.normal(0, 0.07, 2)
    spread = 0.27 - 0.09 * findings.lake_packing
    apart = findings.lake_radius * 1.75 * findings.lake_packing
    centres: list[tuple[float, float]] = []
    for candidate in middle + rng.normal(0, spread, (findings.lake_count * 4, 2)):
        column, row = float(candidate[0]), float(candidate[1])
        if all(np.hypot(column - other[0], row - other[1]) > apart for other in centres):
            centres.append((column, row))
        if len(centres) == findings.lake_count:
            break
    return centres


def _scar(rng: np.random.Generator, x: Field, y: Field, findings: Findings) -> Field:
    """Return the opacity of pale tissue: a patch, crossed by bright strands as far as the findings have them."""
    if findings.scar == 0:
        return np.zeros_like(x)
    angle = rng.uniform(0, 2 * np.pi)
    column, row = (findings.scar_offset * 0.6 * part for part in (np.cos(angle), np.sin(angle)))
    distance = np.hypot(x - column, y - row) + 0.06 * smooth_noise(rng, 7)
    patch = soft_step(findings.scar_radius * 0.6 - distance, 0.14)
    strands = np.zeros_like(x)
    for direction in rng.uniform(0, np.pi) + np.array([0.0, np.pi / 2]):
        across = x * np.cos(direction) + y * np.sin(direction) + 0.03 * smooth_noise(rng, 6)
        ridges = soft_step(np.cos(across * 2 * np.pi / rng.uniform(0.11, 0.16)) - 0.80, 0.25)
        strands = np.maximum(strands, ridges * np.clip(0.5 + 0.6 * smooth_noise(rng, 9), 0.0, 1.0))
    crossed = max(findings.strands, 0.0)
    return patch * (0.75 - 0.35 * crossed + 1.1 * crossed * strands)


def _spots(rng: np.random.Generator, x: Field, y: Field, mask: Field, count: int, radius: float) -> Field:
    """Return `count` small soft spots of random strength within the lesion."""
    total = np.zeros_like(x)
    for column, row in rng.normal(0, 0.26, (count, 2)):
        size = radius * rng.uniform(0.7, 1.5)
        strength = rng.uniform(0.5, 1.0)
        window = _window(column, row, size * 2)
        distance = np.hypot(x[window] - column, y[window] - row)
        total[window] = np.maximum(total[window], strength * soft_step(size - distance, 0.5 * size))
    return total * mask


def _window(column: float, row: float, reach: float) -> tuple[slice, slice]:
    """Return the slices of a scene that hold everything within `reach` of a point, so that small things cost little."""
    first_row, last_row, first_column, last_column = (
        int(np.clip((value + 1) / 2 * SCENE + extra, 0, SCENE))
        for value, extra in ((row - reach, 0), (row + reach, 1), (column - reach, 0), (column + reach, 1))
    )
    return slice(first_row, last_row), slice(first_column, last_column)
