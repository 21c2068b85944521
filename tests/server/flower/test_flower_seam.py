"""Whatever the server uses of Flower beyond its documented interface must exist in the Flower that is installed."""

import argparse
import importlib
import inspect
from importlib.metadata import version
from pathlib import Path

import pytest
from google.protobuf.message import Message

from server.members.consortium import read_consortium
from server.members.server_folder import ServerFolder
from server.processes.programs import SUPEREXEC, SUPERLINK, server_programs
from tests.server.federation_folder import RunningServer, make_folder

WRITTEN_FOR = "1.42"

NAMES = [
    "flwr.cli.build:build_fab_from_disk",
    "flwr.cli.cli_client_interceptor:CliClientHttpInterceptor",
    "flwr.common.serde:fab_to_proto",
    "flwr.common.serde:user_config_to_proto",
    "flwr.supercore.cli.flower_superexec:flower_superexec",
    "flwr.supercore.constant:TaskType.SERVER_APP",
    "flwr.supercore.control:ControlHttpClient",
    "flwr.supercore.error:FlowerError.from_json",
    "flwr.supercore.fab:Fab",
    "flwr.supercore.inflatable.inflatable_utils:ObjectPushError",
    "flwr.supercore.inflatable.inflatable_utils:pull_objects",
    "flwr.superlink.grid.http_grid:pull_objects",
    "flwr.common.constant:FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE",
    "flwr.supercore.interceptors:RuntimeVersionHttpInterceptor",
    "flwr.supercore.logger:mirror_output_to_queue",
    "flwr.supercore.logger:restore_output",
    "flwr.supercore.primitives.asymmetric:public_key_to_bytes",
    "flwr.supercore.protobuf.client:ProtobufCall",
    "flwr.supercore.protobuf.client:ProtobufRequestContext",
    "flwr.supercore.superexec.executor:ExecutionSpec",
    "flwr.supercore.superexec.executor:LaunchResult.accepted",
    "flwr.supercore.superexec.run_superexec:get_executor",
    "flwr.superlink.cli.flower_superlink:flower_superlink",
    "flwr.superlink.extensions:get_middleware",
]

METHODS = ("ListNodes", "RegisterNode", "UnregisterNode", "ListRuns", "StartRun", "StopRun", "StreamLogs")

FIELDS = {
    "control_pb2:ListNodesResponse": ("nodes_info",),
    "control_pb2:RegisterNodeRequest": ("public_key", "name"),
    "control_pb2:RegisterNodeResponse": ("node_id",),
    "control_pb2:UnregisterNodeRequest": ("node_id",),
    "control_pb2:ListRunsRequest": ("run_id",),
    "control_pb2:ListRunsResponse": ("run_dict", "now"),
    "control_pb2:StartRunRequest": ("fab", "override_config"),
    "control_pb2:StartRunResponse": ("run_id",),
    "control_pb2:StopRunRequest": ("run_id",),
    "control_pb2:StopRunResponse": ("success",),
    "control_pb2:StreamLogsRequest": ("run_id", "after_timestamp"),
    "control_pb2:StreamLogsResponse": ("log_output",),
    "node_pb2:NodeInfo": (
        *("node_id", "name", "public_key", "status", "registered_at"),
        *("last_activated_at", "last_deactivated_at", "unregistered_at"),
    ),
    "run_pb2:Run": (*("run_id", "status", "pending_at", "running_at", "finished_at", "bytes_recv", "bytes_sent"),),
    "run_pb2:RunStatus": ("status", "sub_status", "details"),
}


def gone(what: str) -> str:
    return (
        f"{what} is not in Flower {version('flwr')}; server/flower/ and server/processes/programs.py were written for "
        f"{WRITTEN_FOR} and must follow"
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_private_name_exists(name: str) -> None:
    module, _, path = name.partition(":")
    try:
        found = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        pytest.fail(gone(name))


@pytest.mark.parametrize("method", METHODS)
def test_the_control_client_has_the_method(method: str) -> None:
    from flwr.supercore.control import ControlHttpClient

    assert hasattr(ControlHttpClient, method), gone(f"ControlHttpClient.{method}")


def test_the_control_client_takes_the_arguments() -> None:
    from flwr.supercore.control import ControlHttpClient
    from flwr.supercore.protobuf.client import ProtobufRequestContext

    taken = set(inspect.signature(ControlHttpClient.__init__).parameters)
    assert {"base_url", "interceptors", "verify", "timeout"} <= taken, gone("an argument of ControlHttpClient")
    assert "request" in ProtobufRequestContext.__dataclass_fields__, gone("ProtobufRequestContext.request")


@pytest.mark.parametrize("name", FIELDS)
def test_a_message_has_its_fields(name: str) -> None:
    module, _, kind = name.partition(":")
    message: type[Message] = getattr(importlib.import_module(f"flwr.proto.{module}"), kind)
    for field in FIELDS[name]:
        assert field in message.DESCRIPTOR.fields_by_name, gone(f"{kind}.{field}")


def test_run_and_node_states_are_the_known_ones() -> None:
    from flwr.common.constant import Status, SubStatus

    states = (Status.PENDING, Status.STARTING, Status.RUNNING, SubStatus.COMPLETED, SubStatus.FAILED, SubStatus.STOPPED)
    assert states == ("pending", "starting", "running", "completed", "failed", "stopped"), gone("a run's status")


def test_the_superlink_asks_extensions_for_middleware_first() -> None:
    source = inspect.getsource(importlib.import_module("flwr.superlink.main")._get_middleware)
    assert source.index("extensions.get_middleware()") < source.index("Middleware("), gone("the hook for middleware")


def test_replies_are_pulled_by_a_function_of_the_grids_module() -> None:
    source = inspect.getsource(importlib.import_module("flwr.superlink.grid.http_grid").HttpGrid.pull_messages)
    assert "= pull_objects(\n" in source, gone("HttpGrid.pull_messages calling pull_objects")


def test_a_serverapp_is_run_from_where_two_functions_say() -> None:
    module = importlib.import_module("flwr.superlink.runtime.run_serverapp")
    source = inspect.getsource(module.run_serverapp)
    for call in ("install_from_fab(fab.content", "get_project_dir("):
        assert call in source, gone(f"run_serverapp: {call}")
    taken = {"runtime_api_address", "log_queue", "token", "insecure", "certificates", "parent_pid"}
    parameters = inspect.signature(module.run_serverapp).parameters
    assert taken | {"runtime_dependency_install"} <= set(parameters), gone("an argument of run_serverapp")


@pytest.mark.parametrize(
    ("name", "module", "parser"),
    [
        (SUPERLINK, "flwr.superlink.cli.flower_superlink", "_parse_args_run_superlink"),
        (SUPEREXEC, "flwr.supercore.cli.flower_superexec", "_parse_args"),
    ],
)
def test_a_program_takes_the_options(tmp_path: Path, name: str, module: str, parser: str) -> None:
    folder: ServerFolder = make_folder(tmp_path / "federation")
    with RunningServer(folder).control() as control:
        programs = server_programs(folder, read_consortium(folder.consortium), control)
    (program,) = [each for each in programs if each.name == name]
    make = getattr(importlib.import_module(module), parser, None)
    assert make is not None, gone(f"{module}.{parser}")
    options: argparse.ArgumentParser = make()
    try:
        options.parse_args(list(program.command)[4:])
    except SystemExit:
        pytest.fail(gone(f"an option of {program.command[3]}"))


def test_the_superexec_reads_how_often_to_look() -> None:
    from flwr.supercore.superexec import run_superexec

    assert run_superexec._TASK_POLL_INTERVAL_ENV == "FLWR_SUPEREXEC_TASK_POLL_INTERVAL", gone("the poll interval")
