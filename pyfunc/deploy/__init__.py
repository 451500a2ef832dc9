"""A model as a container image: the build context, and the engine that builds it."""

from __future__ import annotations

from pyfunc.deploy.context import BuildContext, write_context
from pyfunc.deploy.dockerfile import DockerfilePlan, render_dockerfile
from pyfunc.deploy.engine import build_image, check_tag, find_engine

__all__ = [
    "BuildContext",
    "DockerfilePlan",
    "build_image",
    "check_tag",
    "find_engine",
    "render_dockerfile",
    "write_context",
]
