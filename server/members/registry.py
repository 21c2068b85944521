"""The registry of hospitals: one JSON file per hospital, which the running server carries out."""

import contextlib
import difflib
import errno
import fcntl
import os
from collections.abc import Iterator
from datetime import UTC, datetime

from pydantic import ValidationError

from common.errors import InputError
from common.security.enrolment import EnrolmentRequest
from common.system.files import write_text_atomically
from common.system.unreadable import explain_unreadable
from server.members.hospital import Hospital
from server.members.server_folder import ServerFolder

_MEND = "put it back from a backup, or remove it, provision, and approve the hospital again"


class Registry:
    """Reads and changes the files of `ServerFolder.hospitals`; a change holds their lock.

    Parameters
    ----------
    folder : ServerFolder
        Provisioned.
    """

    def __init__(self, folder: ServerFolder) -> None:
        self._path = folder.hospitals

    def hospitals(self) -> dict[str, Hospital]:
        """Return the members by name, sorted, without those whose records cannot be read."""
        return self.survey()[0]

    def survey(self) -> tuple[dict[str, Hospital], dict[str, str]]:
        """Return the members by name, sorted, and why other records cannot be read, which concerns those alone."""
        hospitals: dict[str, Hospital] = {}
        damaged: dict[str, str] = {}
        for name in sorted(path.stem for path in self._path.glob("*.json")):
            try:
                hospitals[name] = self._read(name)
            except InputError as error:
                damaged[name] = str(error)
        return hospitals, damaged

    def require_folder(self) -> None:
        """Raise `InputError` if there is no registry: an empty one would be taken for a federation without members."""
        if not self._path.is_dir():
            raise InputError(f"{self._path} is missing: put it back from a backup, or provision again and approve anew")

    def find(self, name: str) -> Hospital:
        """Return one member; raises `InputError`, with the nearest name, for one that is unknown."""
        self.require_folder()
        known = [path.stem for path in sorted(self._path.glob("*.json"))]
        if name in known:
            return self._read(name)
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        raise InputError(f"there is no hospital {name!r} in this federation{hint}")

    def invite(self, name: str, contact: str, images: int | None = None) -> str | None:
        """Add a hospital, or change its contact and its images; return what was done, None if nothing.

        Without `images` those that were confirmed before stay.
        """
        with self._locked():
            if not (self._path / f"{name}.json").exists():
                self._write(Hospital(name=name, contact=contact, images=images, invited=_now()))
                return "invited"
            hospital = self._read(name)
            told = hospital.model_copy(update={"contact": contact} | ({"images": images} if images is not None else {}))
            changed = ["contact changed"] if told.contact != hospital.contact else []
            if told.images != hospital.images:
                changed.append(f"images changed from {hospital.images or 'none confirmed'} to {told.images}")
            if changed:
                self._write(told)
            return ", ".join(changed) or None

    def check_approval(self, request: EnrolmentRequest) -> Hospital:
        """Return the hospital of a request as it stands; raises `InputError` for whatever `approve` would refuse."""
        with self._locked():
            hospital = self.find(request.hospital)
            self._check_key(request)
        return hospital

    def approve(self, request: EnrolmentRequest, images: int | None = None) -> Hospital:
        """Approve a hospital with the key of its request.

        The running server unregisters the key that it had before.

        Parameters
        ----------
        request : EnrolmentRequest
            Of the hospital.
        images : int or None
            How many images it has, as the coordinator confirms; None: as confirmed before.

        Returns
        -------
        Hospital
            Its new record; unchanged if it was approved with the same key before.

        Raises
        ------
        InputError
            If the hospital is unknown, or the key was revoked, or is another hospital's.
        """
        with self._locked():
            hospital = self.find(request.hospital)
            self._check_key(request)
            if images is not None and images != hospital.images:
                hospital = hospital.model_copy(update={"images": images})
                self._write(hospital)
            if hospital.state == "approved" and hospital.public_key == request.public_key:
                return hospital
            approved = hospital.model_copy(
                update={
                    "state": "approved",
                    "public_key": request.public_key,
                    "fingerprint": request.fingerprint,
                    # The hospital chose the zone, and not each can be read from a record.
                    "enrolled": datetime.fromisoformat(request.created).astimezone(UTC),
                    "approved": _now(),
                    "revoked": None,
                    "revoked_keys": _with_former_key(hospital),
                    "node_id": None,
                }
            )
            self._write(approved)
            return approved

    def revoke(self, name: str) -> bool:
        """Revoke a hospital and its key; return False if that was done before."""
        with self._locked():
            hospital = self.find(name)
            if hospital.state == "revoked":
                return False
            changes = {"state": "revoked", "revoked": _now(), "revoked_keys": _with_former_key(hospital)}
            self._write(hospital.model_copy(update=changes))
            return True

    def note_node(self, name: str, node_id: int | None) -> None:
        """Write down Flower's number for a hospital; None once it is unregistered."""
        with self._locked():
            self._write(self._read(name).model_copy(update={"node_id": node_id}))

    def _check_key(self, request: EnrolmentRequest) -> None:
        for other in self.hospitals().values():
            if request.public_key in other.revoked_keys:
                raise InputError(
                    f"key {request.fingerprint} was revoked, and Flower never takes a key back: "
                    f"{request.hospital} must make a new one with `rarefed-hospital enroll --new-key`"
                )
            if other.name != request.hospital and request.public_key == other.public_key:
                raise InputError(
                    f"key {request.fingerprint} is that of {other.name}: each hospital needs its own; "
                    f"{request.hospital} must make one with `rarefed-hospital enroll --new-key`"
                )

    def _read(self, name: str) -> Hospital:
        path = self._path / f"{name}.json"
        try:
            hospital = Hospital.model_validate_json(path.read_bytes())
        except OSError as error:
            raise InputError(explain_unreadable(path, error)) from error
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the file"
            raise InputError(f"{path}: is no hospital's record: {field}: {first['msg']}; {_MEND}") from error
        if hospital.name != name:
            raise InputError(f"{path}: is the record of {hospital.name!r}: give the file that name")
        return hospital

    def _write(self, hospital: Hospital) -> None:
        write_text_atomically(self._path / f"{hospital.name}.json", hospital.model_dump_json(indent=2) + "\n")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            stream = (self._path / ".lock").open("w")
            # Records are replaced, not written in their place: it is the folder that must be this user's.
            if not os.access(self._path, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise InputError(
                f"{self._path} cannot be written ({error.strerror}): run this as the user of the server, and see that "
                "the disk has room"
            ) from error
        with stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield


def _with_former_key(hospital: Hospital) -> tuple[str, ...]:
    former = (hospital.public_key,) if hospital.public_key else ()
    return tuple(dict.fromkeys((*hospital.revoked_keys, *former)))


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
