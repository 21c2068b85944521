"""The private side of Flower that the hospital stands on: fails, naming the versions, when it has moved."""

import importlib
import inspect
from importlib.metadata import version

import pytest

from client.flower.heartbeat import CONSTANT, MODULES

WRITTEN_FOR = "1.42"

NAMES = [
    ("flwr.supernode.cli.flower_supernode", "flower_supernode", []),
    ("flwr.supernode.fleet_http_client", "FleetHttpClient.ActivateNode", ["self", "request"]),
    ("flwr.supernode.fleet_http_client", "FleetHttpClient.SendNodeHeartbeat", ["self", "request"]),
    (
        "flwr.supernode.fleet_http_client",
        "FleetHttpClient._unary_unary",
        ["self", "path", "rpc_method", "request", "response_type"],
    ),
    ("flwr.supercore.protobuf.client", "ProtobufClient.__init__", ["self", "base_url"]),
    ("flwr.supernode.runtime.run_clientapp", "pull_task_input", ["client"]),
    ("flwr.supernode.runtime.run_clientapp", "push_message", ["client", "message", "context"]),
    ("flwr.supernode.runtime.run_clientapp", "push_task_output", ["client", "context", "sub_status", "details"]),
    ("flwr.supercore.superexec.run_superexec", "get_executor", ["executor_type", "executor_config"]),
    (
        "flwr.supercore.superexec.run_superexec",
        "run_superexec",
        ["runtime_api_address", "insecure", "root_certificates_path", "superexec_auth_secret"],
    ),
    ("flwr.supercore.superexec.executor", "ExecutionSpec", ["task_type", "runtime_api_address", "token"]),
    ("flwr.supercore.superexec.executor", "LaunchResult.accepted", []),
    ("flwr.supercore.superexec.executor.types", "Executor.get_eligible_capacity", ["self", "supported_task_types"]),
    ("flwr.supercore.superexec.executor.types", "Executor.launch", ["self", "spec"]),
    ("flwr.supercore.superexec.executor.types", "Executor.reconcile", ["self"]),
    ("flwr.supercore.superexec.executor.types", "Executor.close", ["self"]),
    ("flwr.supercore.heartbeat", "make_task_heartbeat_fn_http", ["client"]),
    *((module, CONSTANT, []) for module in MODULES),
    ("flwr.supercore.interceptors", "RuntimeTokenHttpInterceptor", ["token"]),
    ("flwr.supercore.auth", "load_superexec_auth_secret", ["secret_file"]),
    ("flwr.supercore.task_identity", "TaskIdentity", []),
    ("flwr.common.serde", "message_to_proto", ["message"]),
    ("flwr.common.serde", "message_from_proto", ["message_proto"]),
    ("flwr.common.serde", "recorddict_to_proto", ["recorddict"]),
]


@pytest.mark.parametrize(("module", "name", "parameters"), NAMES)
def test_what_the_hospital_uses_of_flower_is_where_it_was(module: str, name: str, parameters: list[str]) -> None:
    moved = (
        f"{module}.{name} is not what it was in Flower {WRITTEN_FOR} (installed: {version('flwr')}): adapt "
        "client/runner/runner.py and client/flower, then this list"
    )
    try:
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        pytest.fail(moved)
    if parameters:
        assert list(inspect.signature(found).parameters)[: len(parameters)] == parameters, moved


def test_the_installed_flower_is_the_one_this_was_written_for() -> None:
    assert version("flwr").startswith(f"{WRITTEN_FOR}."), f"rarefed was written for Flower {WRITTEN_FOR}"


CALLS = [
    ("flwr.supercore.superexec.run_superexec", "executor = get_executor("),
    ("flwr.supercore.superexec.run_superexec", "client = RuntimeHttpClient.from_server_address("),
    ("flwr.supercore.protobuf.client", "self._client = httpx.Client("),
    ("flwr.supercore.protobuf.client", "return self._client.send(current_context.request)"),
]


@pytest.mark.parametrize(("module", "call"), CALLS)
def test_flower_looks_up_when_it_runs_what_is_replaced(module: str, call: str) -> None:
    source = inspect.getsource(importlib.import_module(module))
    assert call in source, f"client/runner/runner.py or client/flower replaces what {module} calls"
