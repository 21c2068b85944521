"""From findings to what a run does about them: a failed check refuses it, a warning is one of its first lines."""

from collections.abc import Sequence

from client.preflight.findings import Finding, Status
from common.errors import InputError


def require_fit(findings: Sequence[Finding]) -> list[str]:
    """Refuse to go on where a check failed; return the warnings, one line each.

    Raises
    ------
    InputError
        For the first failed finding.
    """
    for finding in findings:
        if finding.status == Status.FAILED:
            raise InputError(_tell(finding))
    return [f"warning: {_tell(finding)}" for finding in findings if finding.status == Status.WARN]


def _tell(finding: Finding) -> str:
    return f"{finding.check}: {finding.found}: {finding.mend}"
