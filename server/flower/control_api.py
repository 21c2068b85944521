"""Client of Flower's Control API: registers hospitals, and starts, follows and stops runs.

The only module that uses this API. Flower's own command line uses the same client, but it prints, keeps a configuration
in the user's home, and returns 0 when a run failed.
"""

import contextlib
import hashlib
import ssl
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Self

import httpx
from flwr.cli.cli_client_interceptor import CliClientHttpInterceptor
from flwr.common.serde import fab_to_proto, user_config_to_proto
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    ListRunsRequest,
    RegisterNodeRequest,
    StartRunRequest,
    StopRunRequest,
    StreamLogsRequest,
    UnregisterNodeRequest,
)
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.error import FlowerError
from flwr.supercore.fab import Fab
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
from flwr.supercore.protobuf.client import ProtobufCall, ProtobufRequestContext

from common.errors import InputError, RunError
from common.plan.groups import Scalar
from common.processes.rotating_log import without_colours
from common.system.proxies import without_proxies
from server.flower.app_bundle import build_bundle
from server.flower.node_key import key_bytes
from server.flower.nodes_and_runs import Node, Run, node_of, run_of
from server.flower.operator_secret import HEADER, header_value

_HEALTH_SECONDS = 5.0
_REQUEST_SECONDS = 15.0
_NO_SUCH_RUN = "Run ID not found"


class Control:
    """A connection to the running server; use as a context manager, or close it.

    Every method raises `RunError`, in one line, when the server does not run or refuses.

    Parameters
    ----------
    address : str
        Host and port of the SuperLink.
    ca : Path
        Certificate of the federation's own CA.
    secret : Path
        File of the operators' secret; need not exist before the server has run.
    """

    def __init__(self, address: str, ca: Path, secret: Path) -> None:
        self._address = address
        try:
            self._tls = ssl.create_default_context(cafile=str(ca))
        except (OSError, ssl.SSLError) as error:
            raise InputError(
                f"{ca}: cannot be used as the CA's certificate ({error.strerror}): put it back from a backup, or "
                "from any start kit"
            ) from error
        with without_proxies():
            self._client = ControlHttpClient(
                f"https://{address}",
                interceptors=[
                    CliClientHttpInterceptor(),
                    RuntimeVersionHttpInterceptor(component_name="flwr CLI"),
                    _CloseConnection(),
                    _ShowSecret(secret),
                ],
                verify=self._tls,
                timeout=_REQUEST_SECONDS,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def healthy(self) -> bool:
        """Say whether the SuperLink answers."""
        try:
            url = f"https://{self._address}/health"
            answer = httpx.get(url, verify=self._tls, timeout=_HEALTH_SECONDS, trust_env=False)
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.OK

    def list_nodes(self) -> list[Node]:
        """Return the registered hospitals, without those that were unregistered."""
        with self._errors():
            nodes = self._client.ListNodes(ListNodesRequest()).nodes_info
        return [node_of(message) for message in nodes if not message.unregistered_at]

    def register(self, public_key: str, name: str) -> int:
        """Register a hospital and return its node id.

        Parameters
        ----------
        public_key : str
            OpenSSH text of an elliptic-curve key; Flower refuses a key that was ever unregistered.
        name : str
            Name of the hospital.
        """
        with self._errors():
            return self._client.RegisterNode(RegisterNodeRequest(public_key=key_bytes(public_key), name=name)).node_id

    def unregister(self, node_id: int) -> None:
        """Unregister a hospital: it is disconnected, and its key is never accepted again."""
        with self._errors():
            self._client.UnregisterNode(UnregisterNodeRequest(node_id=node_id))

    def list_runs(self) -> list[Run]:
        """Return the latest twenty runs, the newest first."""
        with self._errors():
            answer = self._client.ListRuns(ListRunsRequest())
        now = datetime.fromisoformat(answer.now)
        return [run_of(run, now) for run in sorted(answer.run_dict.values(), key=lambda r: r.pending_at, reverse=True)]

    def run(self, run_id: int) -> Run:
        """Return one run."""
        with self._errors():
            answer = self._client.ListRuns(ListRunsRequest(run_id=run_id))
        return run_of(answer.run_dict[run_id], datetime.fromisoformat(answer.now))

    def start_run(self, app_folder: Path, overrides: Mapping[str, Scalar]) -> int:
        """Start a run and return its id.

        Parameters
        ----------
        app_folder : Path
            Folder of the Flower app.
        overrides : mapping of str to bool, int, float or str
            Values of the dotted plan keys that differ from the app's defaults.
        """
        bundle = build_bundle(app_folder)
        fab = Fab(hashlib.sha256(bundle).hexdigest(), bundle, {})
        request = StartRunRequest(fab=fab_to_proto(fab), override_config=user_config_to_proto(dict(overrides)))
        with self._errors():
            answer = self._client.StartRun(request)
        if not answer.HasField("run_id"):
            raise RunError("Flower did not take the run and gave no reason: see logs/superlink.log")
        return answer.run_id

    def stop_run(self, run_id: int) -> None:
        """Stop a run; hospitals that are training finish their round, and its result is not used."""
        with self._errors():
            stopped = self._client.StopRun(StopRunRequest(run_id=run_id)).success
        if not stopped:
            raise RunError(f"Flower could not stop run {run_id}")

    def logs(self, run_id: int, follow: bool = False) -> Iterator[str]:
        """Yield a run's log in pieces of text: what there is so far, or with `follow` until the run ends."""
        with self._errors():
            if not follow and self.run(run_id).status in ("pending", "starting"):
                return  # the stream would wait for the first line
            stream = self._client.StreamLogs(StreamLogsRequest(run_id=run_id, after_timestamp=0.0))
            with contextlib.closing(stream):
                for piece in stream:
                    yield without_colours(piece.log_output)
                    if not follow:
                        return

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPStatusError as error:
            refusal = FlowerError.from_json(error.response.text)
            reason = " ".join(filter(None, (refusal.message, refusal.public_details))) if refusal else str(error)
            hint = "; `rarefed-server runs` lists the latest" if _NO_SUCH_RUN in reason else ""
            raise RunError(f"the server refused: {' '.join(reason.split())}{hint}") from error
        except httpx.HTTPError as error:
            raise RunError(
                f"the server at {self._address} cannot be reached ({error}): is `rarefed-server start` running?"
            ) from error


class _ShowSecret:
    """Sends the operators' secret, as it is at this moment, where there is one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def intercept(self, context: ProtobufRequestContext, call_next: ProtobufCall) -> httpx.Response:
        try:
            context.request.headers[HEADER] = header_value(self._path)
        except FileNotFoundError:
            pass  # no server has run here so far
        except OSError as error:
            raise RunError(f"{self._path}: {error.strerror}: run this as the user of the server") from error
        return call_next(context)


class _CloseConnection:
    """Closes the connection after every answer, since a SuperLink waits for idle connections before it ends."""

    def intercept(self, context: ProtobufRequestContext, call_next: ProtobufCall) -> httpx.Response:
        context.request.headers["connection"] = "close"
        return call_next(context)
