"""Kubernetes manifests as plain dicts, and checks of what no schema of Kubernetes holds."""

from __future__ import annotations

from pyfunc.deploy.kubernetes.checks import check_manifests, find_problems_in_manifest
from pyfunc.deploy.kubernetes.findings import ManifestError
from pyfunc.deploy.kubernetes.manifests import (
    Workload,
    job_manifests,
    serve_manifests,
    write_manifests,
)

__all__ = [
    "ManifestError",
    "Workload",
    "check_manifests",
    "find_problems_in_manifest",
    "job_manifests",
    "serve_manifests",
    "write_manifests",
]
