"""Finds masks that lie beside the images they belong to, as data sets for segmentation are handed over."""

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import PurePosixPath

from common.dataset.class_names import split_words
from common.system.wording import words

MASK_REASON = "lies beside the image of which it is a mask or an annotation"

_MASK_WORDS = words(
    """
    mask masks masked seg segs segmented segmentation segmentations annotation annotations annotated anno gt
    groundtruth ground truth contour contours roi rois label labels overlay overlays heatmap heatmaps superpixels
    masken maske masque masques mascara pred preds prediction predictions gradcam saliency
    """
)
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
        Files such as ``x_mask.png``, ``xMask.png`` or ``x_lungmask_left.png`` beside ``x.png``, and files in folders
        such as ``masks`` whose name, with or without such an ending, is that of an image outside such folders: of the
        same class, or anywhere where the first folder is one of masks.
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
        if path.parts[0] in of_masks:
            return stem in anywhere or _is_mask_of(path.stem, anywhere.__contains__)
        if _in_mask_folder(path):
            return (path.parts[0], stem) in in_class or _is_mask_of(
                path.stem, lambda other: (path.parts[0], other) in in_class
            )
        return _is_mask_of(path.stem, lambda other: (path.parent, other) in beside)

    return {name for name, path in paths.items() if is_mask(path)}


def _is_mask_of(stem: str, known: Callable[[str], bool]) -> bool:
    """Tell whether a name is that of another image with words of masks before or behind it."""
    bare = _MASK_BEGINNING.sub("", stem.casefold())
    if bare != stem.casefold() and known(bare):
        return True
    return any(known(stem[:end].casefold()) and _speaks_of_masks(stem[end:]) for end in range(1, len(stem)))


def _speaks_of_masks(rest: str) -> bool:
    told = [word for word in split_words(rest) if not word.isdigit()]
    marks = [word for word in told if _is_mask_word(word)]
    return bool(marks) and not rest[0].isdigit() and _MASK_COMPANIONS.issuperset(set(told) - set(marks))


def _is_mask_word(word: str) -> bool:
    return word in _MASK_WORDS or word.endswith(("mask", "masks"))


def _in_mask_folder(path: PurePosixPath) -> bool:
    return any(_is_mask_word(word) for folder in path.parts[1:-1] for word in split_words(folder))


def _is_first_of_masks(folder: str, all_first: Collection[str]) -> bool:
    """Tell whether a first folder is one of masks: ``masks``, ``ManualMask``, or ``tumor_mask`` beside ``tumor``."""
    told = split_words(folder)
    rest = [word for word in told if not _is_mask_word(word)]
    if rest == told:
        return False
    return _MASK_COMPANIONS.issuperset(rest) or any(split_words(other) == rest for other in all_first)
