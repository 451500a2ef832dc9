"""A model as it travels to the actors: its archive, once, in the object store of the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyfunc.directory.opened import ModelFiles
from pyfunc.distributed.archives import pack_model, unpack_model

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from ray import ObjectRef

__all__ = ["ShippedModel", "ship"]


@dataclass(frozen=True, slots=True)
class ShippedModel:
    """A model as it was when it was shipped.

    Attributes:
        digest: stands for its files.
        archive: the bytes of the archive, where every node can take them from.
    """

    digest: str
    archive: ObjectRef[npt.NDArray[np.uint8]]

    def unpack(self, folder: Path) -> Path:
        """Return a directory in ``folder`` with the model, held against its digest.

        Raises:
            ModelIntegrityError: the files are not those of the digest.
        """
        import ray

        path = folder / f"{self.digest}.zip"
        ray.get(self.archive).tofile(path)
        directory = unpack_model(path, self.digest)
        path.unlink()
        return directory


def ship(files: ModelFiles) -> ShippedModel:
    """Return the model, put into the object store of the cluster.

    Raises:
        ModelIntegrityError: a file is not what the manifest lists.
    """
    import numpy as np
    import ray

    digest, archive = pack_model(files)
    # Mapped, so that it lies in the object store only and not in this process as well.
    return ShippedModel(digest, ray.put(np.memmap(archive, np.uint8, "r")))
