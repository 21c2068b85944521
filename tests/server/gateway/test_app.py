"""What the gateway lets through to the SuperLink and what not, and what it answers itself."""

import time
from email.utils import parsedate_to_datetime

import pytest
from flwr.supercore.primitives.asymmetric import generate_key_pairs

from client.enrolment import enroll
from client.preflight.connection import diagnose_connection
from common.security.node_key import read_node_key
from common.system.ports import free_port
from server.gateway.app import FLEET_ROUTES
from tests.client.hospital import write_hospital
from tests.server.gateway.certificates import Authority
from tests.server.gateway.door import FORBIDDEN, gateway_for, upstream_with
from tests.server.gateway.members import signed_by
from tests.waiting import wait_for


@pytest.mark.parametrize("route", FLEET_ROUTES)
def test_a_fleet_call_passes(door, upstream, route):
    body = bytes(range(256)) * 1000
    upstream.body = body[::-1]
    answer = door.call(route, body)
    assert (answer.status, answer.text) == (200, upstream.body)
    assert [(line, sent) for line, _, sent in upstream.requests] == [(f"POST {route} HTTP/1.1", body)]


def test_only_known_headers_pass(door, upstream):
    needed = {
        "content-type": "application/x-protobuf",
        "accept": "application/x-protobuf",
        **door.members.signature("north"),
        "flwr-package-name": "flwr",
        "flwr-package-version": "1.42.0",
        "flwr-component-name": "SuperNode",
    }
    others = {
        "x-forwarded-for": "10.0.0.1",
        "forwarded": "for=10.0.0.1",
        "x-forwarded-proto": "http",
        "x-original-url": "/v1/control/start-run",
        "x-http-method-override": "GET",
        "flwr-task-token": "t",
        "flwr-superexec-signature": "s",
        "cookie": "c=1",
        "authorization": "Basic eDp5",
        "te": "trailers",
        "accept-encoding": "gzip",
        "user-agent": "supernode",
    }
    upstream.headers = {
        "content-type": "application/x-protobuf",
        "flwr-version-incompatibility-message": "old",
        "set-cookie": "c=1",
        "x-internal": "1",
        "location": "https://127.0.0.1/",
    }
    answer = door.call(headers={**needed, **others})
    got = upstream.requests[0][1]
    ours = {
        "host": f"127.0.0.1:{upstream.port}",
        "connection": "keep-alive",
        "user-agent": "rarefed-gateway",
        "accept-encoding": "identity",
        "content-length": "1",
    }
    assert got == {**needed, **ours}
    assert {name.lower() for name, _ in answer.getheaders()} == {
        "content-type",
        "flwr-version-incompatibility-message",
        "content-length",
        "date",
    }
    assert abs(parsedate_to_datetime(answer.getheader("date")).timestamp() - time.time()) < 3


@pytest.mark.parametrize("target", FORBIDDEN)
def test_nothing_else_passes(door, upstream, target):
    answer = door.call(target)
    assert (answer.status, answer.text) == (404, b"refused\n")
    assert {name.lower() for name, _ in answer.getheaders()} == {"content-type", "content-length", "connection", "date"}
    assert not upstream.requests


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "CONNECT", "post"])
def test_other_methods_are_refused(door, upstream, method):
    assert door.call(method=method).status == 405
    assert not upstream.requests


def test_only_get_asks_for_health(door, upstream):
    assert door.call("/health").status == 405
    assert not upstream.requests


def test_health_is_that_of_the_upstream(door, upstream):
    answer = door.call("/health", b"", "GET")
    assert (answer.status, answer.text) == (200, b"ok\n")
    assert answer.headers["rarefed-hospital"] == "north"
    stranger = signed_by(generate_key_pairs()[0])
    assert door.call("/health", b"", "GET", stranger, None).headers["rarefed-hospital"] == "-"
    assert "rarefed-hospital" not in door.call("/health", b"", "GET", hospital=None).headers
    upstream.status = 500
    # However many ask, the SuperLink is asked once a second.
    wait_for(lambda: door.call("/health", b"", "GET").status == 503, "the upstream to be asked again", 5)
    assert len(upstream.requests) < 4
    assert {line for line, _, _ in upstream.requests} == {"GET /health HTTP/1.1"}


@pytest.mark.parametrize("status", [302, 500, 501, 502, 503, 504])
def test_a_failing_upstream_is_answered_503(door, upstream, status):
    upstream.status, upstream.body = status, b"Traceback of the upstream"
    answer = door.call()
    assert (answer.status, answer.text) == (503, b"refused\n")
    assert answer.getheader("retry-after") == "5"
    assert answer.getheader("date")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
def test_a_refusal_by_the_upstream_passes(door, upstream, status):
    upstream.status, upstream.body = status, b'{"code": 2004}'
    answer = door.call()
    assert (answer.status, answer.text) == (status, upstream.body)


def test_an_answer_that_breaks_off_is_answered_503(door, upstream):
    upstream.torn = True
    assert door.call().status == 503


def test_a_silent_upstream_is_answered_503(door, upstream):
    upstream.go_on.clear()
    try:
        answer = door.call()
    finally:
        upstream.go_on.set()
    assert (answer.status, answer.getheader("retry-after")) == (503, "5")


def test_an_absent_upstream_is_answered_503(authority, tmp_path):
    port = free_port()
    with gateway_for(port, authority, tmp_path / "log") as door:
        assert [door.call().status, door.call("/health", b"", "GET").status] == [503, 503]


def test_an_upstream_with_another_ca_gets_nothing(authority, tmp_path):
    with (
        upstream_with(Authority(tmp_path / "stranger")) as stranger,
        gateway_for(stranger.port, authority, tmp_path / "log") as door,
    ):
        assert door.call().status == 503
        assert not stranger.requests


def test_a_hospital_learns_whether_its_key_is_known(door, upstream, authority, tmp_path):
    hospital = write_hospital(tmp_path, tmp_path, server=f"localhost:{door.port}", ca_certificate=str(authority.path))
    enroll(hospital)
    upstream.status = 200
    assert diagnose_connection(hospital)[-1].found == "the server does not know this hospital's key"
    authority.members.approve("north", read_node_key(hospital.node_key))
    wait_for(lambda: diagnose_connection(hospital)[-1].found == "the server knows it as 'north'", "the key to be known")
