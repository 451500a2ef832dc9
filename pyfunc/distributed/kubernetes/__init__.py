"""Serving and scoring with a model's image on Kubernetes, without writing YAML by hand.

The manifests are plain dicts and need no cluster. :mod:`pyfunc.distributed.kubernetes.cluster`
takes them to one, through the official client.
"""

from __future__ import annotations

from pyfunc._lazy import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        ".cluster": ("ClusterError", "delete", "logs", "status", "submit"),
        ".manifests": ("batch_manifests", "kserve_manifests", "serve_manifests"),
        ".states": ("ObjectStatus",),
    },
)
