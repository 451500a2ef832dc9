"""Chats of each kind, saved once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.chat.echoes import ECHOES


@pytest.fixture(scope="session")
def echoes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Kind -> the directory of a chat of that kind."""
    folder = tmp_path_factory.mktemp("echoes")
    script = Path(__file__).with_name("echoes.py")
    subprocess.run([sys.executable, str(script), str(folder)], check=True, timeout=300)
    return {kind: folder / kind for kind in ECHOES}
