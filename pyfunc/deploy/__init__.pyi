from .dockerfile import DockerfilePlan as DockerfilePlan
from .dockerfile import render_dockerfile as render_dockerfile
from .engine import build_image as build_image
from .engine import check_tag as check_tag
from .engine import find_engine as find_engine
from .image import BuildContext as BuildContext
from .image import ImageContents as ImageContents
from .image import write_image as write_image
from .model_image import write_context as write_context

__all__: list[str]
