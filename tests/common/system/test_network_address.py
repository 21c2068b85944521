"""Addresses as people write them, and the right form that they read then."""

import pytest

from common.system.network_address import (
    check_address,
    check_host,
    check_listening,
    join_address,
    split_address,
)


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("fl.example.org:8443", "fl.example.org", 8443),
        ("localhost:1", "localhost", 1),
        ("host_1:65535", "host_1", 65535),
        ("10.0.0.5:9092", "10.0.0.5", 9092),
        ("[::1]:9092", "::1", 9092),
        ("[2001:db8::1]:443", "2001:db8::1", 443),
        ("xn--klinik-sd-x9a.de:443", "xn--klinik-sd-x9a.de", 443),
    ],
)
def test_an_address_is_a_name_or_number_and_a_port(address: str, host: str, port: int) -> None:
    assert split_address(check_address(address)) == (host, port)
    assert join_address(host, port) == address


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://fl.example.org:8443", "write host:port without https://, such as fl.example.org:8443"),
        ("https://fl.example.org", "without https://, such as fl.example.org:8443"),
        ("grpc://fl.example.org:8443/", "without grpc://, such as fl.example.org:8443"),
        ("HTTPS://fl.example.org:1/x", "without HTTPS://, such as fl.example.org:1"),
        ("fl.example.org:8443/", "and nothing else, such as fl.example.org:8443"),
        ("it@fl.example.org:22", "and nothing else, such as fl.example.org:22"),
        (" fl.example.org:8443", "without white space, such as fl.example.org:8443"),
        ("fl.example.org: 8443", "without white space, such as fl.example.org:8443"),
        ("fl.example.org:\u00a08443", "without white space, such as fl.example.org:8443"),
        ("fl.example.org.:8443", "without a full stop at the end, such as fl.example.org:8443"),
        ("fl.example.org", "the port is missing; write host:port, such as fl.example.org:8443"),
        ("fl.example.org:", "the port is missing; write host:port, such as fl.example.org:8443"),
        ("fl.example.org,8443", "the port is missing; write host:port, such as fl.example.org:8443"),
        ("fl.example.org:https", "'https' is no port; write host:port, such as fl.example.org:8443"),
        ("fl.example.org:99999", "the port 99999 does not exist; ports are 1 to 65535"),
        ("fl.example.org:0", "the port 0 does not exist"),
        ("fl.example.org:" + "9" * 5000, "does not exist"),
        ("fl.example.org:-1", "'-1' is no port"),
        ("fl.example.org:08443", "write the port without zeros in front, fl.example.org:8443"),
        ("10.0.0.5:\uff18\uff10", "is no port"),
        ("::1:9092", "an IPv6 address stands in brackets and the port after them, such as [::1]:9092"),
        ("2001:db8::1", "such as [2001:db8::1]:8443"),
        ("1:2:3:4:5:6:7:8:443", "write [1:2:3:4:5:6:7:8]:443"),
        ("[::1]", "the port is missing; write host:port, such as [::1]:8443"),
        ("[fl.example.org]:8443", "only an IPv6 address stands in brackets; write fl.example.org:8443"),
        ("0.0.0.0:8443", "0.0.0.0 means every address of a machine; write the server's own"),
        ("[::]:8443", "means every address of a machine"),
        ("10.0.0.256:8443", "is no IPv4 address: it has four numbers from 0 to 255"),
        ("klinik-s\u00fcd.de:443", "in ASCII it is written xn--klinik-sd-x9a.de"),
        ("stra\u00dfe.de:443", "other letters are written in the xn-- form"),
        ("fl.example.org\u200b:8443", "type it anew, it holds an invisible sign (U+200B)"),
        ("fl..example.org:8443", "is no name or address of a machine"),
        ("-fl.example.org:8443", "is no name or address of a machine"),
        (":8443", "the name of the machine is missing"),
        ("", "the port is missing; write host:port, such as fl.example.org:8443"),
    ],
)
def test_what_is_no_address_is_told_its_right_form(address: str, said: str) -> None:
    with pytest.raises(ValueError) as raised:
        check_address(address)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("host", ["fl.example.org", "*.example.org", "10.0.0.5", "::1", "localhost"])
def test_a_host_is_a_name_or_a_number(host: str) -> None:
    assert check_host(host) == host


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("https://fl.example.org/", "write name or address without https://, such as fl.example.org"),
        ("fl.example.org:8443", "write only the name or address, fl.example.org, without a port"),
        ("[::1]", "write ::1 without brackets"),
        ("[::1]:8443", "write only the name or address, ::1, without a port"),
        ("fl.example.org ", "without white space, such as fl.example.org"),
        ("h\u00f4pital.example", "in ASCII it is written xn--hpital-ixa.example"),
    ],
)
def test_what_is_no_host_is_told_its_right_form(host: str, said: str) -> None:
    with pytest.raises(ValueError) as raised:
        check_host(host)
    assert said in str(raised.value)


def test_a_server_listens_on_an_address_of_its_machine() -> None:
    assert [check_listening(each) for each in ("0.0.0.0", "::", "127.0.0.1", "localhost")]
    for wrong in ("*", "0.0.0.0:8443", "fl.example.org"):
        with pytest.raises(ValueError, match=r"write 0\.0\.0\.0 for all"):
            check_listening(wrong)
