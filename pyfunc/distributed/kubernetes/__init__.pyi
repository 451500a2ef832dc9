from .cluster import ClusterError as ClusterError
from .cluster import delete as delete
from .cluster import logs as logs
from .cluster import status as status
from .cluster import submit as submit
from .manifests import batch_manifests as batch_manifests
from .manifests import kserve_manifests as kserve_manifests
from .manifests import serve_manifests as serve_manifests
from .states import ObjectStatus as ObjectStatus

__all__: list[str]
