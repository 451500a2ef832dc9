"""What to say when a model needs a module that cannot be imported."""

from __future__ import annotations

from packaging.utils import canonicalize_name

from pyfunc.directory.opened import ModelFiles
from pyfunc.env.installed.distributions import installed_version
from pyfunc.env.requirements.lines import parse_requirement
from pyfunc.env.requirements.of_model import read_requirements

__all__ = ["remedy_for_module"]

# Modules whose distribution has another name; metadata tells only for what is installed.
_DISTRIBUTIONS = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def remedy_for_module(module: str, files: ModelFiles) -> str:
    """Return what to do about ``module``, which the model that ``files`` are cannot import.

    Names the line of its requirements that stands for the module and the version that is
    installed, where there are such.
    """
    top = module.partition(".")[0]
    wanted = canonicalize_name(_DISTRIBUTIONS.get(top, top))
    lines, _ = read_requirements(files.root, files)
    for line in lines:
        requirement = parse_requirement(line)
        if requirement is None or canonicalize_name(requirement.name) != wanted:
            continue
        installed = installed_version(requirement.name)
        having = "" if installed is None else f" (installed: {installed})"
        return f"the model was saved with {line}{having}: pip install '{line}'"
    return "install the package that has it, or save the model again with the module in code_paths"
