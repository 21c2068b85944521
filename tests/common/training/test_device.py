import pytest
import torch

from common.errors import InputError
from common.training.device import pick_device


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_device_is_said() -> None:
    with pytest.raises(InputError, match="this machine has none"):
        pick_device("cuda")
    assert pick_device("auto") == torch.device("cpu") or torch.backends.mps.is_available()
