"""Finds masks that lie beside the images they belong to, as data sets for segmentation are handed over."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

MASK_REASON = "lies beside the image of which it is a mask or an annotation"

_MASK_WORD = (
    r"(?:masks?|seg|segs|segmented|segmentation|annotations?|annotated|gt|groundtruth|ground_truth|contour|roi)"
)
_MASK_ENDING = re.compile(rf"[ _.-]+{_MASK_WORD}(?:[ _.-]*\d+)?$", re.IGNORECASE)
_MASK_FOLDER = re.compile(rf"^(?:.*[ _.-])?{_MASK_WORD}$", re.IGNORECASE)


def find_masks(names: Sequence[str]) -> set[str]:
    """Return the names that are masks of others of the same class.

    Parameters
    ----------
    names : sequence of str
        Paths below the data root with "/" separators, the class folder first.

    Returns
    -------
    set of str
        Files such as ``x_mask.png`` or ``x_segmentation_1.png`` beside ``x.png``, and files in folders such as
        ``masks`` whose name, with or without such an ending, is that of an image outside such folders.
    """
    paths = {name: PurePosixPath(name) for name in names}
    stems = {(str(path.parent), path.stem.casefold()) for path in paths.values()}
    in_class = {(path.parts[0], path.stem.casefold()) for path in paths.values() if not _in_mask_folder(path)}
    found = set()
    for name, path in paths.items():
        stem = path.stem.casefold()
        bare = _MASK_ENDING.sub("", stem)
        if (bare != stem and (str(path.parent), bare) in stems) or (
            _in_mask_folder(path) and {(path.parts[0], stem), (path.parts[0], bare)} & in_class
        ):
            found.add(name)
    return found


def _in_mask_folder(path: PurePosixPath) -> bool:
    return any(_MASK_FOLDER.match(folder) for folder in path.parts[1:-1])
