"""A bounded folder of tensors that are dear to compute and cheap to lose."""

import contextlib
import os
import secrets
import time
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from common.system.folders import cache_folder

_DEFAULT_LIMIT_BYTES = 4 * 1024**3
# After so many writes of its own a process looks how much others have written.
_WRITES_BETWEEN_LOOKS = 100
# No write takes this long: whoever left the file was killed.
_ABANDONED_SECONDS = 3600


def activation_cache() -> "ActivationCache | None":
    """Return the user's cache of activations; None when `$RAREFED_NO_CACHE` is set, and all is computed anew."""
    return None if os.environ.get("RAREFED_NO_CACHE") else ActivationCache(cache_folder() / "trunk")


class ActivationCache:
    """Tensors under content digests, on disk, shared by every process of the machine.

    An entry's key must say everything that it was computed from: then an entry never grows stale, and two processes
    that write the same key write the same bytes. Entries appear by a rename: a reader sees all of one or nothing.

    Parameters
    ----------
    folder : Path
        Made when missing, readable by its owner alone, since activations of patients' images lie in it.
    limit_bytes : int
        When the entries exceed it, those unused for longest go first.
    """

    def __init__(self, folder: Path, limit_bytes: int = _DEFAULT_LIMIT_BYTES) -> None:
        self._folder = folder
        self._limit = limit_bytes
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._size = self._measure()
        self._writes = 0

    def read(self, key: str, name: str) -> torch.Tensor | None:
        """Return tensor `name` of entry `key` and mark the entry as used; None when it is missing or damaged."""
        path = self._path(key)
        try:
            with safe_open(path, framework="pt") as entry:
                tensor: torch.Tensor = entry.get_tensor(name)
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            return None
        with contextlib.suppress(OSError):  # a disk that became read-only still gives what it holds
            os.utime(path)
        return tensor

    def write(self, key: str, tensors: dict[str, torch.Tensor]) -> None:
        """Store an entry; the oldest ones make room for it. A full disk only means that it is computed again."""
        with contextlib.suppress(OSError, SafetensorError):
            self._write(key, tensors)

    def _write(self, key: str, tensors: dict[str, torch.Tensor]) -> None:
        path = self._path(key)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        temporary = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary)
            self._size += temporary.stat().st_size
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        self._writes += 1
        if self._writes % _WRITES_BETWEEN_LOOKS == 0:
            self._size = self._measure()
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
        for _, entry_size, path in entries:
            # Some slack, so that the next write does not evict again.
            if size <= 0.9 * self._limit:
                break
            path.unlink(missing_ok=True)
            size -= entry_size
        self._size = size
