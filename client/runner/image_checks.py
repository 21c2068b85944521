"""The checks of a hospital's images, in a process that a hostile image may take over."""

import json
from contextlib import closing
from dataclasses import asdict
from functools import partial
from typing import Any

from client.preflight.checks import check_images
from client.preflight.findings import Finding, Status, failed
from client.rules.hospital_file import HospitalFile
from client.rules.policy import HospitalFailure
from client.runner.confined import start_confined
from client.runner.training_process import TrainingProcess, do_job
from common.processes.fork_server import ForkServer
from common.system.foreign_json import parse_json
from common.system.wording import printable

_SECONDS = 24 * 3600.0
_MOST_FINDINGS = 100


def check_images_confined(hospital: HospitalFile) -> list[Finding]:
    """Check the images in the sandbox in which they are trained on.

    Must be called before this process has threads, which no fork survives.
    """
    try:
        with (
            closing(ForkServer(do_job)) as forks,
            start_confined(forks, hospital, hospital.state, partial(_check, hospital)) as checking,
        ):
            return _answered(checking)
    except HospitalFailure as problem:
        return [failed("images", str(problem), f"give {hospital.state} and all in it back to the user of the daemon")]


def _answered(checking: TrainingProcess) -> list[Finding]:
    try:
        return _findings(checking.answer(b"", _SECONDS))
    except HospitalFailure as problem:
        mend = "if the machine is not to blame, an image is: find it by checking half of them, and so on"
        return [failed("images", str(problem), mend)]
    except (ValueError, TypeError, KeyError) as error:
        # Whoever took the process over can say that all is well, but no more than that.
        return [failed("images", f"what checks them answered nonsense ({error})", "an image may be hostile")]


def _check(hospital: HospitalFile, _: bytes) -> bytes:
    return json.dumps([asdict(finding) for finding in check_images(hospital)]).encode()


def _findings(reply: bytes) -> list[Finding]:
    told = parse_json(reply)
    if not 0 < len(told) <= _MOST_FINDINGS:
        raise ValueError(f"{len(told)} findings")
    return [_finding(each) for each in told]


def _finding(told: dict[str, Any]) -> Finding:
    check, found, mend = (printable(str(told[key])) for key in ("check", "found", "mend"))
    return Finding(check, Status(told["status"]), found, mend)
