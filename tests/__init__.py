"""Tests."""

import os

# Tests fork from a process that may have begun gRPC, which a hospital's programs never do: its threads would begin anew
# in what is forked, and abort there for want of their descriptors. Read when gRPC is imported.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
