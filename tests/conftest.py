"""What every test gets: a cache of its own, and one thread, since two cores are shared by many processes."""

import atexit
import os
import shutil
import tempfile

import torch
from flwr.supercore.task_identity import TaskIdentity

_cache = tempfile.mkdtemp(prefix="rarefed-test-cache-")
atexit.register(shutil.rmtree, _cache, ignore_errors=True)
os.environ["RAREFED_CACHE"] = _cache
torch.set_num_threads(1)

# Flower numbers the process of a run; without the numbers no message can be made.
TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1
