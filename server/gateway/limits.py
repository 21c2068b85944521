"""How much the gateway accepts of a hospital, of an address's strangers, and altogether."""

import ipaddress
from dataclasses import asdict, dataclass

from common.errors import InputError


@dataclass(frozen=True)
class Limits:
    """The gateway's limits; the defaults fit several hospitals with 100 MB models behind one address.

    A *stranger* is whoever has not yet signed a request with the key of an approved hospital. Strangers are counted by
    address, hospitals by name, and no number of strangers takes what is a hospital's.

    Attributes
    ----------
    body_bytes : int
        The largest request body. Flower cuts arrays into objects of 5 MiB.
    bytes_per_hour : int
        What a hospital may send over time, and at once after an hour of silence.
    rate, burst : float, int
        Requests per second of a hospital, or of an address's strangers, over time, and at once. A round takes a few
        dozen requests, an idle node sends one in 3 s.
    requests, requests_per_hospital, own_requests : int
        Hospitals' requests in progress at a time. The first `own_requests` of a hospital are always let in, whatever
        others have in hand. `requests` and all hospitals' own, times `body_bytes`, bound the memory.
    connections_per_hospital : int
        Open connections of a hospital; a SuperNode has up to six.
    strangers, strangers_per_address : int
        Strangers' open connections, from the moment that they are accepted, before TLS. One too many costs the address
        that has most its oldest.
    handshake_rate, handshake_burst : float, int
        Connections accepted of an address per second over time, and at once: a TLS handshake costs this machine more
        than its caller.
    addresses : int
        Addresses whose rate is remembered; the one that has been quiet longest is forgotten first.
    handshake_seconds : float
        How long a connection may take until TLS stands.
    head_seconds : float
        How long a connection may stay without a whole request head, also between two requests: longer than the 5 s for
        which a SuperNode keeps it idle.
    silence_seconds : float
        How long a body may pause.
    transfer_seconds : float
        How long a body may take to arrive, and an answer to be taken. At 1 Mbit/s, six objects of 5 MiB that are sent
        side by side take 252 s.
    upstream_seconds : float
        How long the SuperLink may take; less than the 30 s that a SuperNode waits, so that it gets an answer.
    stop_seconds : int
        How long requests in progress may go on when the gateway stops; then they are answered 503, and tried again.
    """

    body_bytes: int = 8 * 2**20
    bytes_per_hour: int = 4 * 2**30
    rate: float = 50.0
    burst: int = 500
    requests: int = 64
    requests_per_hospital: int = 16
    own_requests: int = 2
    connections_per_hospital: int = 32
    strangers: int = 256
    strangers_per_address: int = 64
    handshake_rate: float = 50.0
    handshake_burst: int = 500
    addresses: int = 4096
    handshake_seconds: float = 10.0
    head_seconds: float = 20.0
    silence_seconds: float = 20.0
    transfer_seconds: float = 300.0
    upstream_seconds: float = 25.0
    stop_seconds: int = 10


def limits_with(settings: list[str]) -> Limits:
    """Return the limits with some of them set as `name=number`.

    Raises
    ------
    InputError
        If a name is unknown, or a value is not a number above zero.
    """
    kinds = {name: type(default) for name, default in asdict(Limits()).items()}
    values = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        try:
            values[name] = kinds[name](value)
            if not values[name] > 0:
                raise ValueError
        except (KeyError, ValueError):
            known = ", ".join(kinds)
            raise InputError(f"--limit {setting}: needs NAME=NUMBER above zero, NAME one of {known}") from None
    return Limits(**values)


def counted_as(host: str) -> str:
    """Return the name under which an address is counted: itself, or the /64 network of an IPv6 address.

    Whoever has one IPv6 address usually has 2^64 of them.
    """
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address.packed, 64), strict=False))
