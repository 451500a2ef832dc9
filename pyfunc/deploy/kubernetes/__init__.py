"""Kubernetes manifests as plain dicts, and checks of what no schema of Kubernetes holds."""

from __future__ import annotations

from pyfunc._lazy import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        ".checks": ("check_manifests", "find_problems_in_manifest"),
        ".findings": ("ManifestError",),
        ".manifests": ("Workload", "job_manifests", "serve_manifests", "write_manifests"),
    },
)
