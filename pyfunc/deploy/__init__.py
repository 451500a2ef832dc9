"""Container images, of models above all: the build context, and the engine that builds it."""

from __future__ import annotations

from pyfunc.deploy.dockerfile import DockerfilePlan, render_dockerfile
from pyfunc.deploy.engine import build_image, check_tag, find_engine
from pyfunc.deploy.image import BuildContext, ImageContents, write_image
from pyfunc.deploy.model_image import write_context

__all__ = [
    "BuildContext",
    "DockerfilePlan",
    "ImageContents",
    "build_image",
    "check_tag",
    "find_engine",
    "render_dockerfile",
    "write_context",
    "write_image",
]
