"""The daemon's health by the standard gRPC health protocol, on the loopback interface."""

from concurrent.futures import ThreadPoolExecutor
from typing import Self

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from common.errors import RunError
from common.system.loopback import taken_words


class HealthServer:
    """A server of the gRPC health protocol; use it as a context manager.

    Parameters
    ----------
    port : int
        Port on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._servicer = health.HealthServicer()
        self._server = grpc.server(ThreadPoolExecutor(2))
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, self._server)
        try:
            self._server.add_insecure_port(f"127.0.0.1:{port}")
        except RuntimeError as error:
            raise RunError(f"{taken_words(port)}: choose another in hospital.yaml (ports.health)") from error
        self.serving = False

    @property
    def serving(self) -> bool:
        """Whether the server reaches this hospital and the hospital would answer."""
        return self._serving

    @serving.setter
    def serving(self, value: bool) -> None:
        self._serving = value
        status = health_pb2.HealthCheckResponse.SERVING if value else health_pb2.HealthCheckResponse.NOT_SERVING
        self._servicer.set("", status)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(grace=1).wait()
