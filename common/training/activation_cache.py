"""A size-limited LRU cache of tensors on disk."""

import contextlib
import logging
import os
import secrets
import time
import zlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from common.system.folders import cache_folder
from common.training.cache_limit import DEFAULT_LIMIT, GIB, LIMIT_VARIABLE, cache_limit

_NAME = "activation"
_CHECKSUM = "crc32"
_log = logging.getLogger(__name__)
# After so many writes of its own a process measures what other processes have written.
_WRITES_BETWEEN_MEASUREMENTS = 100
# No write takes this long: the process that left the file was killed.
_ABANDONED_SECONDS = 3600


def activation_cache() -> "ActivationCache | None":
    """Return the user's cache of activations; None, which computes all anew, if `$RAREFED_NO_CACHE` is set.

    Raises
    ------
    InputError
        If `$RAREFED_CACHE_GIB` is no size.
    """
    if os.environ.get("RAREFED_NO_CACHE"):
        return None
    return ActivationCache(cache_folder() / "trunk", cache_limit())


class ActivationCache:
    """Tensors on disk under content digests, shared by all processes of the machine.

    An entry's key must be a digest of everything that the entry was computed from. Then an entry is never out of date,
    and two processes that write the same key write the same bytes. Entries are renamed into place, so that a reader
    sees a whole entry or none.

    Parameters
    ----------
    folder : Path
        Created if missing, readable by its owner only, since it holds activations of patients' images.
    limit_bytes : int
        When the entries exceed it, the least recently used are removed, but none that was used since this process
        began: trainings go through their images again and again, and would find each entry gone that they need next.
        Where those alone reach the limit, nothing more is written.
    """

    def __init__(self, folder: Path, limit_bytes: int = DEFAULT_LIMIT) -> None:
        self._folder = folder
        self._limit = limit_bytes
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._began = time.time()
        self._full = False
        self._size = 0  # measured at the first write: whoever only reads need not know
        self._writes = 0

    def read(self, key: str) -> torch.Tensor | None:
        """Return the tensor of entry `key` and mark the entry as used; None if it is missing or damaged."""
        path = self._path(key)
        try:
            with safe_open(path, framework="pt") as entry:
                tensor: torch.Tensor = entry.get_tensor(_NAME)
                if (entry.metadata() or {}).get(_CHECKSUM) != _checksum(tensor):
                    raise SafetensorError("other bytes than were written")
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            return None
        with contextlib.suppress(OSError):  # a disk that became read-only can still be read
            os.utime(path)
        return tensor

    def write(self, key: str, tensor: torch.Tensor) -> None:
        """Store an entry and remove the least recently used ones beyond the limit; a full disk is no error."""
        if self._full:
            return
        try:
            self._write(key, tensor)
        except (OSError, SafetensorError) as error:
            self._stop(f"{self._folder} cannot be written to ({error})")

    def _stop(self, why: str) -> None:
        """Write nothing more in this process, and say so once."""
        self._full = True
        _log.warning("activations beyond those in the cache are computed again each time: %s", why)

    def _write(self, key: str, tensor: torch.Tensor) -> None:
        path = self._path(key)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        temporary = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            whole = tensor.contiguous()
            save_file({_NAME: whole}, temporary, {_CHECKSUM: _checksum(whole)})
            self._size += temporary.stat().st_size
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        if self._writes % _WRITES_BETWEEN_MEASUREMENTS == 0:
            self._size = self._measure()
        self._writes += 1
        if self._size > self._limit:
            self._evict()

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.safetensors"

    def _measure(self) -> int:
        for path in self._folder.glob("*/.*.part"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    path.unlink()
        return sum(size for _, size, _ in self._entries())

    def _entries(self) -> list[tuple[float, int, Path]]:
        entries = []
        for path in self._folder.glob("*/*.safetensors"):
            # Another process may be evicting at this moment.
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                entries.append((status.st_mtime, status.st_size, path))
        return sorted(entries)

    def _evict(self) -> None:
        entries = self._entries()
        size = sum(entry_size for _, entry_size, _ in entries)
        for used, entry_size, path in entries:
            # Some slack, so that the next write does not evict again.
            if size <= 0.9 * self._limit or used >= self._began:
                break
            path.unlink(missing_ok=True)
            size -= entry_size
        self._size = size
        if size > self._limit:
            self._stop(f"they reach its {self._limit / GIB:g} GiB; {LIMIT_VARIABLE} raises that")


def _checksum(tensor: torch.Tensor) -> str:
    """Return what a damaged disk, or a power cut before the bytes were there, would change."""
    return f"{zlib.crc32(tensor.view(torch.uint8).numpy().data):08x}"
