"""Runs the code of one page of the documentation as its reader would, from the top to the end.

Python is run in one namespace. A block with a title is a file. Shell is run by bash, with the
programs of this environment; a line that ends in ``&`` goes on until the page ends. What a page
has under ``<!-- run`` is run and not shown; a block under ``<!-- not run: why -->`` is shown only.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["blocks_of", "main"]

_BLOCK = re.compile(
    r"^(?P<not_run><!-- not run: .+? -->\n)?"
    r'```(?P<language>python|sh)(?: title="(?P<title>[^"]+)")?\n(?P<code>.*?)^```$'
    r"|^<!-- run\n(?P<hidden>.*?)^-->$",
    flags=re.MULTILINE | re.DOTALL,
)
_SHOWN_PORT = "5000"
_SHOWN_PYTHON, _PYTHON = "PYTHON3_11", f"PYTHON3_{sys.version_info.minor}"


def blocks_of(text: str) -> Iterator[tuple[int, str, str, str | None]]:
    """Yield the line, the language, the code and the title of what a page runs."""
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        if found["hidden"] is not None:
            yield line, "python", found["hidden"], None
        elif found["not_run"] is None:
            yield line + 1, found["language"], found["code"], found["title"]


def main(page: Path) -> None:
    """Run ``page`` in the working directory."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    running: list[subprocess.Popen[bytes]] = []
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    try:
        for line, language, shown, title in blocks_of(page.read_text(encoding="utf-8")):
            code = shown.replace(_SHOWN_PORT, port).replace(_SHOWN_PYTHON, _PYTHON)
            if title is not None:
                Path(title).write_text(code, encoding="utf-8")
            elif language == "python":
                exec(compile("\n" * line + code, str(page), "exec"), namespace)
            elif code.rstrip().endswith("&"):
                command = ["bash", "-c", f"exec {code.rstrip()[:-1]}"]
                running.append(subprocess.Popen(command, start_new_session=True))
            else:
                subprocess.run(["bash", "-euo", "pipefail", "-c", code], check=True)
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
