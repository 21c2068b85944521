"""Masks are told from images by their names and by what lies beside them."""

import pytest

from common.dataset.readers.masks import find_masks


@pytest.mark.parametrize(
    "mask",
    [
        "c/x_mask.png",
        "c/x_mask_1.png",
        "c/xMask.png",
        "c/x_lungmask.png",
        "c/x_mask_left.png",
        "c/x_pred.png",
        "c/x_gradcam.png",
        "c/lungmasks/x.png",
        "lungmask/c/x.png",
        "c/x-mask.png",
        "c/x.mask.png",
        "c/X_Segmentation.png",
        "c/x_seg.png",
        "c/x_segmentation.png",
        "c/x_superpixels.png",
        "c/x_label.png",
        "c/x_anno.bmp",
        "c/mask_x.png",
        "c/masks/x.png",
        "c/masks/x_mask.png",
        "c/ground truth/x.bmp",
        "c/manual/leftMask/x.png",
        "masks/x.png",
        "masks/c/x.png",
        "ManualMask/leftMask/x.png",
        "c_mask/x.png",
    ],
)
def test_beside_its_image(mask: str) -> None:
    assert find_masks([mask, "c/x.png", "d/y.png"]) == {mask}


@pytest.mark.parametrize(
    "name",
    [
        "c/z_mask.png",  # without the image that it would be of
        "c/masks/z.png",
        "masks/z.png",
        "with_mask/x.png",
        "seg/x1.png",
        "c/masked.png",
        "c/x1_mask.png",
        "c/x_mask_of_another.png",
    ],
)
def test_alone(name: str) -> None:
    assert find_masks([name, "c/x.png", "d/y.png"]) == set()
