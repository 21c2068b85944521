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
    ("flwr.supernode.fleet_http_client", "FleetHttpClient.PullMessages", ["self", "request"]),
    ("flwr.supernode.fleet_http_client", "FleetHttpClient.GetFab", ["self", "request"]),
    ("flwr.supernode.servicer.runtime.runtime_handlers", "pull_object", ["request", "state", "task"]),
    ("flwr.supercore.protobuf.client", "ProtobufClient.__init__", ["self", "base_url"]),
    ("flwr.supercore.runtime", "RuntimeHttpClient.PullTaskInput", ["self", "request"]),
    ("flwr.supercore.runtime", "RuntimeHttpClient.PullMessages", ["self", "request"]),
    ("flwr.supercore.inflatable.inflatable_utils", "pull_objects", ["object_ids", "pull_object_fn"]),
    ("flwr.supercore.inflatable.inflatable_utils", "inflate_object_from_contents", ["object_id", "object_contents"]),
    ("flwr.supercore.inflatable.inflatable_utils", "ObjectPullError", []),
    ("flwr.supercore.inflatable.inflatable_object", "iterate_object_tree", ["tree"]),
    (
        "flwr.supercore.inflatable.inflatable_protobuf_utils",
        "make_pull_object_fn_protobuf",
        ["pull_object_protobuf", "node", "run_id"],
    ),
    (
        "flwr.supercore.inflatable.inflatable_protobuf_utils",
        "make_confirm_message_received_fn_protobuf",
        ["confirm_message_received_protobuf", "node", "run_id"],
    ),
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
    ("flwr.supernode.fleet_http_connection", "with FleetHttpClient.from_server_address("),
    ("flwr.supernode.start_client_internal", "obj_contents = pull_objects("),
    ("flwr.supercore.routers.runtime.router", "return handlers.pull_object("),
    ("flwr.supercore.protobuf.client", "self._client = httpx.Client("),
    ("flwr.supercore.protobuf.client", "return self._client.send(current_context.request)"),
]


@pytest.mark.parametrize(("module", "call"), CALLS)
def test_flower_looks_up_when_it_runs_what_is_replaced(module: str, call: str) -> None:
    source = inspect.getsource(importlib.import_module(module))
    assert call in source, f"client/runner/runner.py or client/flower replaces what {module} calls"
