import pytest

from common.errors import RunError
from server.flower.node_key import key_bytes


@pytest.mark.parametrize(
    "key", ["nonsense", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2mGdNcVhMDHmVBBDQx1Kk2l0iXw3V4p0cBhJmW0bUS"]
)
def test_a_key_that_flower_cannot_use_is_refused_here(key: str) -> None:
    with pytest.raises(RunError, match="is no "):
        key_bytes(key)
