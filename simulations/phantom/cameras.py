"""The phantom's cameras: how each of the four sites pictures a scene, with hairs, rulers and ink marks.

Sites differ in optics, white balance and compression, as dermatoscopes do, and in two habits that a model trained at
one site mistakes for the disease: how often a ruler or an ink mark accompanies a positive case, and how warm the light
is then. The habits point in opposite directions at different sites, so what a model learns from them is wrong
elsewhere.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from simulations.phantom.drawing import SCENE, Field, lay_over, rgb, smooth_noise, soft_step

_OVERSAMPLING = 3


@dataclass(frozen=True)
class Camera:
    """One site's camera and habits; pairs are (negative cases, positive cases)."""

    site: str
    side: int
    field_of_view: float
    white_balance: tuple[float, float, float]
    gamma: float
    blur: float
    noise: float
    vignette: float
    dark_corner: float
    jpeg_quality: int
    hairs: float
    glare: float
    ruler: tuple[float, float]
    ink: tuple[float, float]
    warmth: tuple[float, float]
    lacunar: tuple[float, float]


CAMERAS = (
    Camera(
        site="site-1", side=256, field_of_view=0.80, white_balance=(1.00, 0.97, 0.98), gamma=1.00, blur=0.5,
        noise=0.010, vignette=0.20, dark_corner=0.0, jpeg_quality=92, hairs=2.0, glare=1.0,
        ruler=(0.20, 0.65), ink=(0.30, 0.10), warmth=(-0.04, 0.05), lacunar=(0.40, 0.80),
    ),
    Camera(
        site="site-2", side=240, field_of_view=0.86, white_balance=(1.02, 0.93, 1.06), gamma=1.15, blur=0.9,
        noise=0.016, vignette=0.38, dark_corner=1.28, jpeg_quality=80, hairs=4.0, glare=0.3,
        ruler=(0.55, 0.20), ink=(0.10, 0.25), warmth=(0.05, -0.04), lacunar=(0.60, 0.30),
    ),
    Camera(
        site="site-3", side=272, field_of_view=0.76, white_balance=(0.96, 1.00, 0.90), gamma=0.88, blur=0.7,
        noise=0.022, vignette=0.10, dark_corner=0.0, jpeg_quality=70, hairs=1.0, glare=2.0,
        ruler=(0.30, 0.30), ink=(0.35, 0.05), warmth=(-0.05, 0.04), lacunar=(0.35, 0.70),
    ),
    Camera(
        site="site-4", side=256, field_of_view=0.90, white_balance=(0.98, 1.00, 1.08), gamma=1.05, blur=1.2,
        noise=0.014, vignette=0.28, dark_corner=1.10, jpeg_quality=86, hairs=3.0, glare=0.5,
        ruler=(0.50, 0.15), ink=(0.05, 0.40), warmth=(0.04, -0.05), lacunar=(0.70, 0.30),
    ),
)  # fmt: skip


def photograph(rng: np.random.Generator, scene: Field, camera: Camera, *, positive: bool) -> Image.Image:
    """Take one picture of a scene.

    Parameters
    ----------
    rng : numpy.random.Generator
        The picture's own generator: hand, light, hairs, noise.
    scene : numpy.ndarray
        Reflectance, RGB planes, shape (3, SCENE, SCENE), values within 0 and 1; not changed.
    camera : Camera
        The site's camera and habits.
    positive : bool
        The class, since the site's habits depend on it.

    Returns
    -------
    PIL.Image.Image
        RGB, 8 bit, `camera.side` pixels square.
    """
    view = _view(rng, scene, camera)
    case = int(positive)
    lay_over(view, 0.85 * _hairs(rng, camera), rgb(0.16, 0.11, 0.09) * rng.uniform(0.6, 2.2))
    if rng.random() < camera.ink[case]:
        lay_over(view, 0.6 * _ink(rng, camera.side), rgb(0.36, 0.22, 0.55))
    if rng.random() < camera.ruler[case]:
        lay_over(view, 0.9 * _ruler(rng, camera.side), rgb(0.12, 0.12, 0.12))
    lay_over(view, 0.75 * _glare(rng, camera), rgb(1.0, 1.0, 1.0))
    view *= _light(rng, camera, warmth=camera.warmth[case])
    view = ndimage.gaussian_filter(view, (0, camera.blur, camera.blur), truncate=3.0)
    view = np.clip(view, 0.0, 1.0) ** camera.gamma
    grain = rng.standard_normal(view.shape) * 0.6 + rng.standard_normal(view.shape[1:]) * 0.8
    view += camera.noise * rng.uniform(0.7, 1.4) * grain
    pixels = np.floor(np.clip(view, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
    return _compressed(Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))), camera.jpeg_quality)


def _view(rng: np.random.Generator, scene: Field, camera: Camera) -> Field:
    """Return the scene as the hand holds the camera: turned, shifted and zoomed a little; shape (3, side, side)."""
    turn = rng.uniform(-0.35, 0.35)
    scale = camera.field_of_view * rng.uniform(0.93, 1.07) * SCENE / camera.side
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = SCENE / 2 + rng.uniform(-0.05, 0.05, 2) * SCENE
    offset = middle - matrix @ np.full(2, camera.side / 2)
    frame = (camera.side, camera.side)
    return np.stack([ndimage.affine_transform(plane, matrix, offset, frame, order=1, mode="mirror") for plane in scene])


def _canvas(side: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Return an empty grey image to draw lines on, larger than the view so that its edges come out smooth."""
    image = Image.new("L", (side * _OVERSAMPLING, side * _OVERSAMPLING))
    return image, ImageDraw.Draw(image)


def _coverage(image: Image.Image, side: int) -> Field:
    """Return a drawn canvas as (side, side) values of 0 to 1."""
    return np.asarray(image.reduce(_OVERSAMPLING), dtype=np.float64) / 255


def _hairs(rng: np.random.Generator, camera: Camera) -> Field:
    """Return a random number of bent hairs."""
    image, draw = _canvas(camera.side)
    length = camera.side * _OVERSAMPLING
    t = np.linspace(0, 1, 24)[:, None]
    for _ in range(int(rng.poisson(camera.hairs * rng.choice([0.2, 1.0, 2.0])))):
        start, bend, end = rng.uniform(-0.15, 1.15, (3, 2)) * length
        bend = (start + end) / 2 + (bend - (start + end) / 2) * 0.35
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
        draw.line([(round(a), round(b)) for a, b in curve], fill=255, width=int(rng.integers(3, 6)))
    return _coverage(image, camera.side)


def _ruler(rng: np.random.Generator, side: int) -> Field:
    """Return the tick marks of a ruler along a random edge."""
    image, draw = _canvas(side)
    length = side * _OVERSAMPLING
    step = rng.uniform(0.035, 0.05) * length
    inset = rng.uniform(0.01, 0.04) * length
    for tick in range(int(length / step) + 1):
        reach = inset + length * (0.07 if tick % 5 == 0 else 0.04)
        draw.line([(round(tick * step), round(inset)), (round(tick * step), round(reach))], fill=255, width=4)
    return np.rot90(_coverage(image, side), int(rng.integers(0, 4))).copy()


def _ink(rng: np.random.Generator, side: int) -> Field:
    """Return a stroke of a skin marker near a random corner."""
    image, draw = _canvas(side)
    length = side * _OVERSAMPLING
    reach = rng.uniform(0.16, 0.30) * length
    stroke = [(round(a), round(b)) for a, b in ((0, reach), (reach * 0.5, reach * 0.55), (reach * 1.1, 0))]
    draw.line(stroke, fill=255, width=round(0.025 * length), joint="curve")
    worn = np.clip(0.7 + 0.4 * smooth_noise(rng, 24, side), 0.0, 1.0)
    return np.rot90(_coverage(image, side) * worn, int(rng.integers(0, 4))).copy()


def _glare(rng: np.random.Generator, camera: Camera) -> Field:
    """Return specular highlights: small bright flecks where the skin's relief mirrors the lamp."""
    relief = smooth_noise(rng, 40, camera.side) + 0.6 * smooth_noise(rng, 6, camera.side)
    threshold = 3.6 - 0.25 * camera.glare + 0.4 * rng.standard_normal()
    return soft_step(relief - threshold, 0.25)


def _light(rng: np.random.Generator, camera: Camera, warmth: float) -> Field:
    """Return what each pixel and channel is multiplied by: exposure, white balance, vignette, dark corners."""
    axis = (np.arange(camera.side) + 0.5) / camera.side * 2 - 1
    column, row = rng.uniform(-0.08, 0.08, 2)
    distance = np.hypot(axis[None, :] - column, axis[:, None] - row)
    light = rng.uniform(0.92, 1.08) * (1 - camera.vignette * rng.uniform(0.7, 1.3) * distance**2 / 2)
    if camera.dark_corner:
        light *= 0.03 + 0.97 * soft_step(camera.dark_corner * rng.uniform(0.97, 1.06) - distance, 0.05)
    warm = warmth + 0.05 * rng.standard_normal()
    balance = rgb(*camera.white_balance) * rgb(1 + warm, 1.0, 1 - warm)
    return np.asarray(light * balance, dtype=np.float64)


def _compressed(image: Image.Image, quality: int) -> Image.Image:
    """Return the image with the artefacts that the site's JPEG compression would have left."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, subsampling=2)
    stream.seek(0)
    with Image.open(stream) as compressed:
        return compressed.convert("RGB")
