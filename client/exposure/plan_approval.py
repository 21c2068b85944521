"""The plans that were asked of this hospital, and which of them a person here has approved."""

from pathlib import Path
from typing import NamedTuple

from client.rules.hospital_file import HospitalFile, read_hospital_file
from common.errors import InputError
from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan
from common.system.files import all_but_newest, write_bytes_atomically
from common.system.wording import plural

# A server may send as many plans as it likes; those that nobody approved give way to newer ones.
_KEEP = 50
_LEAST_DIGITS = 16
_APPROVED = ".approved"


class AskedPlan(NamedTuple):
    """A plan that a server asked for.

    Attributes
    ----------
    digest : str
        SHA-256 of the plan.
    approved : bool
        Whether a person has approved it.
    changes : dict
        Its keys that differ from rarefed's defaults, with their values.
    """

    digest: str
    approved: bool
    changes: dict[str, Scalar]


class AskedPlans:
    """Keeps each plan in a file named by its digest, and beside it one that holds the digest if it is approved.

    Parameters
    ----------
    folder : Path
        Holds nothing else; made when the first plan comes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def remember(self, plan: TrainingPlan) -> None:
        """Keep a plan that was asked for.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        path = self._path(plan.digest)
        if path.exists():
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_bytes_atomically(path, plan.to_json().encode("utf-8", "surrogatepass"), mode=0o600)
        for old in all_but_newest(self._waiting(), _KEEP):
            old.unlink(missing_ok=True)

    def approved(self, digest: str) -> bool:
        """Say whether a person has approved the plan of this digest."""
        try:
            return self._path(digest).with_suffix(_APPROVED).read_bytes() == digest.encode()
        except OSError:
            return False

    def waiting(self) -> list[str]:
        """Return the digests of the plans that nobody has approved, the latest first."""
        return [path.stem for path in all_but_newest(self._waiting(), 0)]

    def approve(self, digest: str) -> None:
        """Approve the plan of this digest."""
        # Not an empty file: whoever could only make a file here has approved nothing.
        write_bytes_atomically(self._path(digest).with_suffix(_APPROVED), digest.encode(), mode=0o600)

    def find(self, beginning: str) -> AskedPlan:
        """Return the one plan whose digest begins so.

        Raises
        ------
        InputError
            If there is none, or several, or fewer than sixteen digits are given.
        """
        if len(beginning) < _LEAST_DIGITS:
            raise InputError(f"{beginning!r}: give at least {_LEAST_DIGITS} digits of the plan's digest")
        found = [plan for plan in self.listed() if plan.digest.startswith(beginning.lower())]
        if len(found) != 1:
            raise InputError(
                f"{len(found) or 'no'} plans were asked for whose digest begins with {beginning!r}: "
                "`rarefed-hospital plans` lists them"
            )
        return found[0]

    def listed(self) -> list[AskedPlan]:
        """Return all plans that are kept, the latest first; raises `InputError` for one that was changed since."""
        defaults = TrainingPlan().flat()
        plans = []
        for path in all_but_newest(self._folder.glob("*.json"), 0):
            plan = _read(path)
            changes = {key: value for key, value in plan.flat().items() if value != defaults[key]}
            plans.append(AskedPlan(plan.digest, self.approved(plan.digest), changes))
        return plans

    def _waiting(self) -> list[Path]:
        return [each for each in self._folder.glob("*.json") if not self.approved(each.stem)]

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.json"


def waiting_plans(hospital: HospitalFile) -> list[str]:
    """Return the digests of the plans that are refused until a person has approved them, the latest first.

    By the rules that the hospital's file has at this moment; none where it cannot be read.
    """
    waiting = AskedPlans(hospital.plans).waiting()
    if not waiting:
        return []
    try:
        needed = read_hospital_file(hospital.path).rules.plans == "approved"
    except InputError:
        return []
    return waiting if needed else []


def tell_waiting(digests: list[str]) -> str:
    """Return the line about plans that wait, the latest of which is first."""
    latest = digests[0][:16]
    return (
        f"{plural(len(digests), 'plan')} asked for, and not approved here, the latest {latest}: "
        f"`rarefed-hospital plans` shows them, `rarefed-hospital approve-plan {latest}` allows it"
    )


def _read(path: Path) -> TrainingPlan:
    try:
        plan = TrainingPlan.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, InputError) as error:
        raise InputError(f"{path} cannot be read, or is a plan of another rarefed: remove it") from error
    if plan.digest != path.stem:
        raise InputError(f"{path} holds another plan than its name says: remove it")
    return plan
