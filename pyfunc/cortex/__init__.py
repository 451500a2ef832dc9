"""Projects of Cortex 0.8 to 0.10: their ``cortex.yaml`` read, their APIs turned into models."""

from __future__ import annotations

from pyfunc.cortex.configuration import CortexApi, CortexProject, load_project
from pyfunc.cortex.conversion import convert_api

__all__ = ["CortexApi", "CortexProject", "convert_api", "load_project"]
