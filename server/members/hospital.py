"""A member of the federation, as the registry keeps it."""

from collections.abc import Container
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

State = Literal["invited", "approved", "revoked"]


class Hospital(BaseModel):
    """One member.

    Attributes
    ----------
    name : str
        As in the consortium file; also the file's name.
    contact : str
        Whom to call.
    images : int or None
        How many images it has, as the coordinator confirmed; None: nobody did.
    state : {"invited", "approved", "revoked"}
        Only an approved hospital takes part.
    public_key : str or None
        OpenSSH text; None before the first approval. A revoked hospital keeps it, so that it can be unregistered.
    fingerprint : str or None
        Of the public key, as `ssh-keygen -l` prints it.
    invited, enrolled, approved, revoked : datetime or None
        When it was first provisioned, signed its request, was approved by the coordinator, and was revoked.
    node_id : int or None
        Flower's number for the hospital; the running server fills it in.
    revoked_keys : tuple of str
        Former public keys. Flower never accepts a key again that was unregistered.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    contact: str = ""
    images: int | None = None
    state: State = "invited"
    public_key: str | None = None
    fingerprint: str | None = None
    invited: datetime | None = None
    enrolled: datetime | None = None
    approved: datetime | None = None
    revoked: datetime | None = None
    node_id: int | None = None
    revoked_keys: tuple[str, ...] = ()


def explain_absence(hospital: Hospital, named: Container[str]) -> str | None:
    """Return why a hospital takes no part although the consortium file names it, and how to mend it.

    None if it is not revoked, or the file does not name it either.
    """
    if hospital.state != "revoked" or hospital.name not in named:
        return None
    since = f" since {hospital.revoked:%Y-%m-%d}" if hospital.revoked else ""
    key = ", which must hold a new key (`rarefed-hospital enroll --new-key`)" if hospital.revoked_keys else ""
    return (
        f"is revoked{since}, though the consortium file names it, and takes no part: to let it in again, "
        f"`rarefed-server approve` its request{key}"
    )
