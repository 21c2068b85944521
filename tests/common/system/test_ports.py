import socket

from common.system.ports import free_port, free_ports


def test_ports_are_different_and_free() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in (*ports, free_port()):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
