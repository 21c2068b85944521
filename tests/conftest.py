"""What every test gets: a cache of its own, and one thread, since two cores are shared by many processes."""

import atexit
import os
import shutil
import tempfile

import torch

_cache = tempfile.mkdtemp(prefix="rarefed-test-cache-")
atexit.register(shutil.rmtree, _cache, ignore_errors=True)
os.environ["RAREFED_CACHE"] = _cache
torch.set_num_threads(1)
