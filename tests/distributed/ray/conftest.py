"""A cluster of Ray in processes of its own, with the two CPUs that Ray is known to hang on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import ray

CPUS = 2


@pytest.fixture(scope="session", autouse=True)
def _cluster() -> Iterator[None]:
    ray.init(num_cpus=CPUS, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
