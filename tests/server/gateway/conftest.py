import pytest

from tests.server.gateway.certificates import Authority
from tests.server.gateway.door import gateway_for, upstream_with


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def _running(authority):
    with upstream_with(authority) as upstream:
        yield upstream


@pytest.fixture
def upstream(_running):
    _running.requests.clear()
    _running.status, _running.headers, _running.body, _running.torn = 200, {}, b"reply", False
    return _running


@pytest.fixture(scope="module")
def door(authority, _running, tmp_path_factory):
    with gateway_for(_running.port, authority, tmp_path_factory.mktemp("gateway") / "log", upstream_seconds=1) as door:
        yield door


@pytest.fixture
def gateway(authority, upstream, tmp_path):
    return lambda **limits: gateway_for(upstream.port, authority, tmp_path / "log", **limits)
