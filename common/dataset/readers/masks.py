"""Finds masks that lie beside the images they belong to, as data sets for segmentation are handed over."""

import re
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

from common.dataset.class_names import split_words
from common.system.wording import words

MASK_REASON = "lies beside the image of which it is a mask or an annotation"

_MASK_WORDS = words(
    """
    mask masks masked seg segs segmented segmentation segmentations annotation annotations annotated anno gt
    groundtruth ground truth contour contours roi rois label labels overlay overlays heatmap heatmaps superpixels
    """
)
_MASK_ENDING = re.compile(rf"[ _.-]+(?:{'|'.join(sorted(_MASK_WORDS, key=len, reverse=True))})(?:[ _.-]*\d+)?$")
_MASK_BEGINNING = re.compile(r"^(?:mask|seg|segmentation|gt|label)[ _.-]+")
_MASK_COMPANIONS = words("manual binary left right lung lungs lesion lesions tumor tumour image images")


def find_masks(names: Sequence[str]) -> set[str]:
    """Return the names that are masks of others.

    Parameters
    ----------
    names : sequence of str
        Paths below the data root with "/" separators, the class folder first.

    Returns
    -------
    set of str
        Files such as ``x_mask.png`` or ``x_segmentation_1.png`` beside ``x.png``, and files in folders such as
        ``masks`` whose name, with or without such an ending, is that of an image outside such folders: of the same
        class, or anywhere where the first folder is one of masks.
    """
    paths = {name: PurePosixPath(name) for name in names}
    first_folders = {path.parts[0] for path in paths.values()}
    of_masks = {folder for folder in first_folders if _is_first_of_masks(folder, first_folders)}
    originals = [path for path in paths.values() if path.parts[0] not in of_masks and not _in_mask_folder(path)]
    beside = {(path.parent, path.stem.casefold()) for path in paths.values()}
    in_class = {(path.parts[0], path.stem.casefold()) for path in originals}
    anywhere = {path.stem.casefold() for path in originals}

    def is_mask(path: PurePosixPath) -> bool:
        stem = path.stem.casefold()
        bare = _without_mask_word(stem)
        if path.parts[0] in of_masks:
            return not anywhere.isdisjoint((stem, bare))
        if _in_mask_folder(path):
            return not in_class.isdisjoint(((path.parts[0], stem), (path.parts[0], bare)))
        return bare != stem and (path.parent, bare) in beside

    return {name for name, path in paths.items() if is_mask(path)}


def _without_mask_word(stem: str) -> str:
    return _MASK_BEGINNING.sub("", _MASK_ENDING.sub("", stem))


def _in_mask_folder(path: PurePosixPath) -> bool:
    return any(not _MASK_WORDS.isdisjoint(split_words(folder)) for folder in path.parts[1:-1])


def _is_first_of_masks(folder: str, all_first: Collection[str]) -> bool:
    """Tell whether a first folder is one of masks: ``masks``, ``ManualMask``, or ``tumor_mask`` beside ``tumor``."""
    told = split_words(folder)
    rest = [word for word in told if word not in _MASK_WORDS]
    if rest == told:
        return False
    return _MASK_COMPANIONS.issuperset(rest) or any(split_words(other) == rest for other in all_first)
