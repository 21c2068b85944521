"""The Kustomize of the server: the hardening that the operations guide promises."""

import shutil
import subprocess
from typing import Any

import pytest
import yaml

from server.members.consortium import ServerSection
from tests.deploy.guide import DEPLOY, GUIDE

GATEWAY_PORT = ServerSection.model_fields["port"].default
USER = 10001


@pytest.fixture(scope="module")
def manifests() -> dict[str, dict[str, Any]]:
    """The Kustomize's manifests by kind, as they are written."""
    folder = DEPLOY / "kubernetes"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(path.name for path in folder.glob("*.yaml") if path.name != "kustomization.yaml")
    read = [yaml.safe_load((folder / name).read_text()) for name in listed]
    return {manifest["kind"]: manifest for manifest in read}


@pytest.fixture(scope="module")
def pod(manifests: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = manifests["Deployment"]["spec"]["template"]["spec"]
    return found


def test_there_is_one_server_and_never_two(manifests: dict[str, dict[str, Any]]) -> None:
    spec = manifests["Deployment"]["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}
    assert manifests["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_the_pod_has_no_rights(pod: dict[str, Any], manifests: dict[str, dict[str, Any]]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["terminationGracePeriodSeconds"] == 90
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {security[key] for key in ("runAsUser", "runAsGroup", "fsGroup")} == {USER}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}
    assert manifests["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_keys_come_from_a_secret_that_the_pod_cannot_change(pod: dict[str, Any]) -> None:
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["pki"]["secret"] == {"secretName": "rarefed-pki", "defaultMode": 0o440}
    mounts = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts["pki"] == {"name": "pki", "mountPath": "/federation/pki", "readOnly": True}
    assert mounts["consortium"] == {
        "name": "consortium",
        "mountPath": "/federation/consortium.yaml",
        "subPath": "consortium.yaml",
        "readOnly": True,
    }
    assert (mounts["federation"]["mountPath"], mounts["tmp"]["mountPath"]) == ("/federation", "/tmp")
    assert volumes["federation"]["persistentVolumeClaim"]["claimName"] == "federation"
    assert "ca.key" not in " ".join(GUIDE.read_text().partition("create secret")[2].partition("```")[0].split())


def test_the_probes_ask_the_gateway(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    assert container["ports"] == [{"name": "gateway", "containerPort": GATEWAY_PORT}]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/health", "port": "gateway", "scheme": "HTTPS"}
    # The supervisor inside needs time to bring the SuperLink back, which a run survives.
    assert container["livenessProbe"]["periodSeconds"] * container["livenessProbe"]["failureThreshold"] >= 180


def test_only_the_gateways_port_is_reached_and_nothing_is_called(manifests: dict[str, dict[str, Any]]) -> None:
    (port,) = manifests["Service"]["spec"]["ports"]
    assert port == {"name": "gateway", "port": GATEWAY_PORT, "targetPort": "gateway"}
    assert manifests["Service"]["spec"]["externalTrafficPolicy"] == "Local"
    policy = manifests["NetworkPolicy"]["spec"]
    assert policy["podSelector"] == {}
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == [{"ports": [{"protocol": "TCP", "port": GATEWAY_PORT}]}]
    assert policy["egress"] == [{"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}]


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
def test_kustomize_builds_with_a_selector_that_meets_the_pod() -> None:
    done = subprocess.run(["kubectl", "kustomize", str(DEPLOY / "kubernetes")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    built = {manifest["kind"]: manifest for manifest in yaml.safe_load_all(done.stdout)}
    labels = built["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    assert built["Service"]["spec"]["selector"].items() <= labels
    assert built["Deployment"]["spec"]["selector"]["matchLabels"].items() <= labels
    assert all(each["metadata"].get("namespace") == "rarefed" for kind, each in built.items() if kind != "Namespace")
