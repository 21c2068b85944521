"""Is this machine fit to train: versions, memory, processors, folders and keys."""

import os
import platform
import stat
from importlib.metadata import PackageNotFoundError, version

from client.exposure.split_salt import split_seed
from client.preflight.findings import Finding, failed, passed, warn
from client.rules.hospital_file import DAEMON_LOCK, HospitalFile
from client.rules.policy import HospitalFailure
from common.errors import InputError
from common.processes.confinement import landlock_version
from common.security.node_key import read_node_key
from common.system.files import is_locked
from common.system.loopback import KNOWN, taken_words, unknown_words
from common.system.ports import is_free
from common.system.resources import free_gigabytes, memory_gigabytes, nearest_folder, try_to_write, usable_cores

_FLOWER = "1.42."
# A training process with torch takes 0.7 GB before the first image, Flower's own processes 0.3 GB.
_LEAST_MEMORY, _GOOD_MEMORY = 2.0, 4.0
# Trunk, activations of 200 images in 12 views, and logs.
_LEAST_DISK, _GOOD_DISK = 2.0, 5.0


def check_versions(hospital: HospitalFile) -> Finding:
    """Check the versions: the runner depends on private parts of one minor version of Flower."""
    versions = {name: _version(name) for name in ("rarefed", "flwr", "torch")}
    found = ", ".join([f"Python {platform.python_version()}", *(f"{k} {v}" for k, v in versions.items())])
    if not versions["flwr"].startswith(_FLOWER) or "missing" in versions.values():
        return failed("versions", found, f"install rarefed anew: it brings flwr {_FLOWER}x and torch with it")
    return passed("versions", found)


def check_memory(hospital: HospitalFile) -> Finding:
    """Compare the memory that trainings may use with what one needs."""
    there = memory_gigabytes()
    allowed = hospital.limits.memory_gigabytes
    found = f"{there:.1f} GB" + (f", of which trainings may take {allowed:g} GB" if allowed else "")
    usable = min(there, allowed or there)
    if usable < _LEAST_MEMORY:
        mend = f"a training needs {_LEAST_MEMORY:g} GB: use a larger machine, or raise limits.memory_gigabytes"
        return failed("memory", found, mend)
    if allowed > there:
        return warn("memory", found, f"lower limits.memory_gigabytes to what there is, {there:.0f}")
    if usable < _GOOD_MEMORY:
        return warn("memory", found, f"enough for small networks only; {_GOOD_MEMORY:g} GB are better")
    return passed("memory", found)


def check_processors(hospital: HospitalFile) -> Finding:
    """Compare the processors that this process may use with the hospital's limit."""
    there = usable_cores()
    allowed = hospital.limits.cpus
    found = f"{there} CPU cores" + (f", of which trainings may take {allowed}" if allowed else "")
    if allowed > there:
        return warn("processors", found, f"lower limits.cpus to {there}, or give the machine more")
    return passed("processors", found)


def check_disk(hospital: HospitalFile) -> Finding:
    """Check that the disk of the state folder has room for the caches."""
    free = free_gigabytes(hospital.state)
    found = f"{free:.1f} GB free at {nearest_folder(hospital.state)}"
    mend = f"free some space, or set state to a folder on another disk; {_GOOD_DISK:g} GB are good"
    if free < _LEAST_DISK:
        return failed("disk", found, mend)
    return warn("disk", found, mend) if free < _GOOD_DISK else passed("disk", found)


def check_state_folder(hospital: HospitalFile) -> Finding:
    """Check that the state folder can be written to, and that no other user can read it."""
    state = hospital.state
    if not state.is_dir():
        return failed("state folder", f"there is no {state}", "`rarefed-hospital enroll` makes it")
    try:
        try_to_write(state)
    except OSError as error:
        found = f"{state} cannot be written to ({error.strerror})"
        return failed("state folder", found, f"chown it to the user that runs rarefed, and chmod 700 {state}")
    mode = stat.S_IMODE(state.stat().st_mode)
    if mode & 0o077:
        return failed("state folder", f"others may enter {state} (mode {mode:o})", f"chmod 700 {state}")
    return passed("state folder", f"{state} is ours alone")


def check_data_folder(hospital: HospitalFile) -> Finding:
    """Check that the data can be read and cannot be written to."""
    path = hospital.data.path
    if not path.exists():
        return failed("data folder", f"there is no {path}", "set data.path in hospital.yaml, or mount the folder")
    if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
        return failed("data folder", f"{path} cannot be read", "let the user that runs rarefed read it")
    if hospital.state.resolve().is_relative_to(path.resolve()):
        found = f"{path} holds the state folder {hospital.state}: what reads the images must not see the node key"
        return failed("data folder", found, "move one of them, or let data.path name the images' own folder")
    if os.access(path, os.W_OK):
        mend = "rarefed never writes there; mount it read-only, or take the right away, so that nothing can"
        return warn("data folder", f"{path} can be written to", mend)
    return passed("data folder", f"{path} can be read, and not written to")


def check_node_key(hospital: HospitalFile) -> Finding:
    """Check that the key with which this hospital signs exists and is secret."""
    try:
        mode = stat.S_IMODE(hospital.node_key.stat().st_mode)
    except OSError as error:
        found = f"{hospital.node_key} cannot be found ({error.strerror})"
        return failed("node key", found, "`rarefed-hospital enroll` makes it; then send the request to the coordinator")
    if mode != 0o600:
        mend = f"chmod 600 {hospital.node_key}; if strangers could read it, enroll with a new key"
        return failed("node key", f"{hospital.node_key} has mode {mode:o}, not 600", mend)
    try:
        read_node_key(hospital.node_key)
    except InputError as error:
        return failed("node key", str(error), "restore it from a backup, or `rarefed-hospital enroll --new-key`")
    return passed("node key", f"{hospital.node_key} is readable by its owner only")


def check_split_salt(hospital: HospitalFile) -> Finding:
    """Check the secret that the split is drawn with: with another one, patients who were tested are trained on."""
    salt, backup = hospital.split_salt, f"restore {hospital.split_salt} from a backup"
    if not salt.exists():
        if any(hospital.federations.glob("*")):
            return warn(
                "split", f"there is no {salt}, and federations were served with one", f"{backup} before you start"
            )
        return passed("split", "is drawn when the first images are read")
    try:
        split_seed(salt)
    except HospitalFailure as problem:
        return failed("split", str(problem), backup)
    return passed("split", f"is drawn with the secret in {salt}")


def check_ports(hospital: HospitalFile) -> Finding:
    """Check that nobody else has the loopback ports that the daemon uses, and that it can be told whose they are."""
    if KNOWN and (unknown := unknown_words()):
        return failed("ports", f"nobody can tell whose they are: {unknown}", "use a kernel or container that shows it")
    ports = (hospital.ports.runtime, hospital.ports.health)
    if is_locked(hospital.state / DAEMON_LOCK):
        return passed("ports", f"{ports[0]} and {ports[1]} are the daemon's, which runs")
    taken = [port for port in ports if not is_free(port)]
    if taken:
        return failed("ports", taken_words(taken[0]), "choose another in hospital.yaml (ports)")
    return passed("ports", f"{ports[0]} and {ports[1]} of the loopback interface are free")


def check_sandbox(hospital: HospitalFile) -> Finding:
    """Check that the process that reads images can be confined: a hostile image may take it over."""
    wanted, version = hospital.limits.sandbox, landlock_version()
    if wanted == "off":
        return warn("sandbox", "limits.sandbox is off", "set it to auto, so that no image can reach the node key")
    if version:
        return passed("sandbox", f"the process that reads images is confined (Landlock, version {version})")
    mend = "use a Linux kernel of 5.13 or newer with Landlock, or run the daemon in the kit's container"
    found = "this kernel has no Landlock: what a hostile image runs could read the node key"
    return failed("sandbox", found, mend) if wanted == "require" else warn("sandbox", found, mend)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "missing"


MACHINE_CHECKS = (
    check_versions,
    check_processors,
    check_memory,
    check_disk,
    check_state_folder,
    check_node_key,
    check_ports,
    check_data_folder,
    check_sandbox,
)
"""In the order in which they are reported."""
