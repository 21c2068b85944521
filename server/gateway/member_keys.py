"""Which approved hospital signed a request, by the registry's keys as they are now."""

import base64
import binascii
import logging
import os
import time
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from common.security.node_key import SIGNED_WITH, public_key_header
from server.members.registry import Registry
from server.members.server_folder import ServerFolder

_log = logging.getLogger(__name__)

# How often the registry's files are looked at: an approved hospital is let in, and a revoked one shut out, after this.
_LOOK_SECONDS = 1.0

EARLIEST_SECONDS, LATEST_SECONDS = -5, 305
"""Bounds of a signature's age, as the SuperLink has them."""


class MemberKeys:
    """Knows the approved hospitals' keys, and notices when they change.

    Parameters
    ----------
    folder : ServerFolder
        Whose registry counts.
    """

    def __init__(self, folder: ServerFolder) -> None:
        self._folder = folder.hospitals
        self._registry = Registry(folder)
        self._keys: dict[bytes, tuple[str, ec.EllipticCurvePublicKey]] = {}
        self._seen: frozenset[tuple[str, int, int, int]] | None = None
        self._next_look = 0.0

    def signer(self, public_key: bytes, timestamp: bytes, signature: bytes) -> str | None:
        """Return the approved hospital that made a request; None if none did.

        A stranger's key costs a look into a table; only a hospital's own key leads to a signature being checked.

        Parameters
        ----------
        public_key, timestamp, signature : bytes
            The headers that a SuperNode sends, as they came: a PEM key in base64, ISO 8601 with a time zone, and the
            ECDSA signature with SHA-256 over the timestamp, in base64.
        """
        self._look()
        name, key = self._keys.get(public_key, (None, None))
        if key is None:
            return None
        try:
            age = (datetime.now(UTC) - datetime.fromisoformat(timestamp.decode("ascii"))).total_seconds()
            key.verify(base64.b64decode(signature, validate=True), timestamp, SIGNED_WITH)
        except (ValueError, TypeError, binascii.Error, InvalidSignature):
            return None
        return name if EARLIEST_SECONDS < age < LATEST_SECONDS else None

    def knows(self, public_key: bytes) -> bool:
        """Say whether a key is that of an approved hospital."""
        self._look()
        return public_key in self._keys

    def hospitals(self) -> dict[str, str]:
        """Return the approved hospitals by what their SuperNodes send as `flwr-public-key`."""
        self._look()
        return {header.decode(): name for header, (name, _) in self._keys.items()}

    def _look(self) -> None:
        if (now := time.monotonic()) < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        try:
            with os.scandir(self._folder) as entries:
                files = [(entry.name, entry.stat()) for entry in entries if entry.name.endswith(".json")]
        except OSError as error:
            # What was known holds on: a folder that cannot be read for a moment shuts nobody out.
            _log.error("%s: %s", self._folder, error.strerror)
            return
        seen = frozenset((name, stat.st_mtime_ns, stat.st_size, stat.st_ino) for name, stat in files)
        if seen != self._seen:
            self._keys = self._approved()
            self._seen = seen

    def _approved(self) -> dict[bytes, tuple[str, ec.EllipticCurvePublicKey]]:
        keys = {}
        for hospital in self._registry.hospitals().values():
            if hospital.state != "approved" or hospital.public_key is None:
                continue
            try:
                key = load_ssh_public_key(hospital.public_key.encode())
            except (ValueError, UnsupportedAlgorithm):
                key = None
            if isinstance(key, ec.EllipticCurvePublicKey):
                keys[public_key_header(key).encode()] = (hospital.name, key)
            else:
                _log.error("the key of %s cannot be read: approve the hospital anew", hospital.name)
        return keys
