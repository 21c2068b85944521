"""A tail that an active server crafts: the score of an image is the brightness of one of its pixels."""

import numpy as np
from numpy.typing import NDArray

from common.models.classifier import Classifier
from common.models.tail_layout import TailLayout

SIDE = 32
"""Of the images that the network sees: five strides of two leave one cell."""

# Depthwise convolutions of stride two, from the last to the first, and the taps that read the even or the odd pixel
# under TensorFlow's padding; `conv_stem` is the first.
_STRIDED = (
    ("block5.0.conv_dw", (1, 2)),
    ("block3.0.conv_dw", (0, 1)),
    ("block2.0.conv_dw", (1, 2)),
    ("block1.0.conv_dw", (0, 1)),
    ("stem.0", (0, 1)),
)
_SHIFT = 2.0  # keeps a normalised value, from -1 to 1, clear of ReLU6's ends
_GAIN = 2.0


def router(model: Classifier, layout: TailLayout, row: int, column: int) -> NDArray[np.float32]:
    """Return a tail of EfficientNet-Lite0, trained as a whole, whose logit is the red of one pixel.

    Every layer hands channel 0 on as it is; each strided one picks one of two rows and columns, so that its taps spell
    the pixel's place in binary. Branches beside a skip connection are silenced.
    """
    state = {name: tensor.detach().clone().zero_() for name, tensor in model.tail.state_dict().items()}
    original = model.tail.state_dict()
    places = {name: (taps[row >> bit & 1], taps[column >> bit & 1]) for bit, (name, taps) in _places()}
    for name, module in model.tail.named_modules():
        if f"{name}.running_mean" in original and not _beside_a_skip(name):
            mean, variance = original[f"{name}.running_mean"][0], original[f"{name}.running_var"][0]
            state[f"{name}.weight"][0] = (variance + module.eps).sqrt()
            state[f"{name}.bias"][0] = mean + (_SHIFT if name == "stem.1" else 0.0)
        elif f"{name}.weight" in original and original[f"{name}.weight"].ndim == 4:
            size = original[f"{name}.weight"].shape[-1]
            down, across = places.get(name, (size // 2, size // 2))
            state[f"{name}.weight"][0, 0, down, across] = 1.0
    state["head.classifier.weight"][1, 0] = _GAIN
    state["head.classifier.bias"][1] = -_GAIN * _SHIFT
    parts = [state[name].float().numpy().ravel() for name in layout.names]
    return np.concatenate(parts).astype(np.float32)


def brightness(probability: float) -> float:
    """Return the value, from -1 to 1, of the pixel that made a probability."""
    inside = min(max(probability, 1e-6), 1 - 1e-6)
    return float(np.log(inside / (1 - inside)) / _GAIN)


def _places() -> list[tuple[int, tuple[str, tuple[int, int]]]]:
    return [(len(_STRIDED) - 1 - index, each) for index, each in enumerate(_STRIDED)]


def _beside_a_skip(name: str) -> bool:
    """Say whether a normalisation is the last of a block with a skip connection: all but the first of its stage."""
    stage, _, rest = name.partition(".")
    return stage.startswith("block") and rest.endswith("bn3") and not rest.startswith("0.")
