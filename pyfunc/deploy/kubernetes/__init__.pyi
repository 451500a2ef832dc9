from .checks import check_manifests as check_manifests
from .checks import find_problems_in_manifest as find_problems_in_manifest
from .findings import ManifestError as ManifestError
from .manifests import Workload as Workload
from .manifests import job_manifests as job_manifests
from .manifests import serve_manifests as serve_manifests
from .manifests import write_manifests as write_manifests

__all__: list[str]
