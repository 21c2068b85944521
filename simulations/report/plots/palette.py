"""The colours of the report: of the page, of the arms, and of the parts of a bar, on light, dark and paper."""

from simulations.study.arms import ARMS

Palette = dict[str, str]
"""Colours by name, each `#rrggbb`."""

PARTS = tuple(f"part-{number}" for number in range(1, 7))
"""Names of the colours for the parts of a bar."""

_SURFACE = ("page", "panel", "ink", "muted", "grid", "warn", "warn-line")


def _palette(surface: str, arms: Palette, parts: str) -> Palette:
    colours = dict(zip(_SURFACE, surface.split(), strict=True)) | dict(zip(PARTS, parts.split(), strict=True))
    named = {name: f"#{code}" for name, code in colours.items()}
    return {name: named[name] for name in _SURFACE} | arms | {name: named[name] for name in PARTS}


LIGHT = _palette(
    "ffffff f6f7f9 1b1f24 5c6570 dfe3e8 fff3d6 c98a00",
    {key: arm.light for key, arm in ARMS.items()},
    "6f819a d3a633 3f9ea3 c46f8d 8c9c4f a57f60",
)
DARK = _palette(
    "14171b 1d2126 e8eaed a3acb7 343b44 3a2f12 e0b040",
    {key: arm.dark for key, arm in ARMS.items()},
    "8296b3 d9ae42 4bb0b5 d583a1 a2b261 b8926f",
)
PRINT = LIGHT | {
    "panel": "#ffffff",
    "ink": "#000000",
    "muted": "#444444",
    "grid": "#cccccc",
    "warn": "#ffffff",
    "warn-line": "#000000",
}

CODES: Palette = {name: f"#01fe{number:02x}" for number, name in enumerate(LIGHT, 1)}
"""Colour codes that no palette uses; each is replaced by a custom property of the page."""
