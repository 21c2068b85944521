"""Names and addresses of machines, as people write them: checked, with an error that writes the right form out."""

import ipaddress
import re

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/+")
_FULL_STOP = re.compile(r"\.(?=(:\d*)?$)")
_ADDRESS = "host:port"
_LARGEST_PORT = 65535
_LONGEST_NAME = 253


def check_host(host: str) -> str:
    """Return a host name or an IP address as it is given.

    Raises
    ------
    ValueError
        It is neither; the message says why, and names the right form where there is one.
    """
    if _ip_version(host):
        return host
    _refuse_web_parts(host, "name or address")
    bare = host.removeprefix("[").removesuffix("]")
    if _ip_version(bare) == 6:
        raise ValueError(f"{host!r}: write {bare} without brackets")
    before, colon, port = host.rpartition(":")
    if colon and (port.isdecimal() or not port):
        raise ValueError(f"{host!r}: write only the name or address, {_without_brackets(before)}, without a port")
    _check_name(host)
    return host


def check_address(address: str) -> str:
    """Return ``host:port`` as it is given; an IPv6 address stands in brackets, ``[::1]:8443``.

    Raises
    ------
    ValueError
        It is no such address; the message says why, and names the right form where there is one.
    """
    _refuse_web_parts(address, _ADDRESS)
    if _ip_version(address) == 6:
        before, _, port = address.rpartition(":")
        meant = f"[{before}]:{port}" if _ip_version(before) == 6 and _is_port(port) else f"[{address}]:8443"
        raise ValueError(f"{address!r}: an IPv6 address stands in brackets and the port after them, such as {meant}")
    host, colon, port = address.rpartition(":")
    if not colon or not port or address.endswith("]"):
        host = re.sub(r"[,;]\d+$", "", address.removesuffix(":")) or "fl.example.org"
        raise ValueError(f"{address!r}: the port is missing; write host:port, such as {host}:8443")
    if not port.isascii() or not port.isdecimal():
        raise ValueError(f"{address!r}: {port!r} is no port; write host:port, such as {host}:8443")
    if port.startswith("0") and port.strip("0"):
        raise ValueError(f"{address!r}: write the port without zeros in front, {host}:{port.lstrip('0')}")
    if not _is_port(port):
        raise ValueError(f"{address!r}: the port {port} does not exist; ports are 1 to {_LARGEST_PORT}")
    if host.startswith("[") and host.endswith("]"):
        if _ip_version(host[1:-1]) != 6:
            raise ValueError(f"{address!r}: only an IPv6 address stands in brackets; write {host[1:-1]}:{port}")
    elif _ip_version(host) == 6:
        raise ValueError(f"{address!r}: an IPv6 address stands in brackets; write [{host}]:{port}")
    elif not _ip_version(host):
        _check_name(host)
    if _is_unspecified(_without_brackets(host)):
        raise ValueError(f"{address!r}: {host} means every address of a machine; write the server's own")
    return address


def check_listening(host: str) -> str:
    """Return the IP address to listen on, or ``localhost``; raises ValueError for anything else."""
    if host == "localhost" or _ip_version(host):
        return host
    raise ValueError(f"{host!r} is no address of this machine: write 0.0.0.0 for all (:: with IPv6), or an IP address")


def split_address(address: str) -> tuple[str, int]:
    """Return host (without brackets) and port of an address that `check_address` has passed."""
    host, _, port = address.rpartition(":")
    return _without_brackets(host), int(port)


def join_address(host: str, port: int) -> str:
    """Return ``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if _ip_version(host) == 6 else f"{host}:{port}"


def _refuse_web_parts(text: str, form: str) -> None:
    """Refuse what belongs to a web address, and white space."""
    scheme = _SCHEME.match(text.strip())
    if scheme:
        problem = f"without {scheme[0]}"
    elif re.search(r"\s", text):
        problem = "without white space"
    elif any(sign in text for sign in "/?@#"):
        problem = "and nothing else"
    elif _FULL_STOP.search(text):
        problem = "without a full stop at the end"
    else:
        return
    meant = re.sub(r"\s", "", _SCHEME.sub("", text.strip(), count=1))
    meant = _FULL_STOP.sub("", re.split(r"[/?#]", meant.rpartition("@")[2])[0]) or "fl.example.org"
    if form == _ADDRESS and not re.search(r":\d+$", meant):
        meant += ":8443"
    raise ValueError(f"{text!r}: write {form} {problem}, such as {meant}")


def _check_name(host: str) -> None:
    name = host.removeprefix("*.")
    labels = name.split(".")
    if all(_LABEL.fullmatch(label) for label in labels) and len(name) <= _LONGEST_NAME:
        if labels[-1].isdecimal():
            raise ValueError(f"{host!r} is no IPv4 address: it has four numbers from 0 to 255")
        return
    if not host:
        raise ValueError("the name of the machine is missing")
    hidden = [sign for sign in host if not sign.isprintable()]
    if hidden:
        raise ValueError(f"{host!r}: type it anew, it holds an invisible sign (U+{ord(hidden[0]):04X})")
    raise ValueError(f"{host!r} is no name or address of a machine{_ascii_form(name)}")


def _ascii_form(name: str) -> str:
    """Say how a name with letters beyond ASCII is written."""
    try:
        ascii_name = "" if name.isascii() or "ß" in name else name.encode("idna").decode()
    except UnicodeError:
        ascii_name = ""
    if ascii_name:
        return f"; in ASCII it is written {ascii_name}"
    return "" if name.isascii() else "; other letters are written in the xn-- form"


def _ip_version(text: str) -> int | None:
    try:
        return ipaddress.ip_address(text).version
    except ValueError:
        return None


def _is_unspecified(host: str) -> bool:
    return _ip_version(host) is not None and ipaddress.ip_address(host).is_unspecified


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= _LARGEST_PORT


def _without_brackets(host: str) -> str:
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host
