"""Shows the site on this machine, to nobody else."""

from __future__ import annotations

import functools
import http.server
from pathlib import Path
from typing import ClassVar

HOST = "127.0.0.1"
PORT = 8000  # where it is free


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files. Their types do not depend on the settings of the machine."""

    extensions_map: ClassVar[dict[str, str]] = (
        http.server.SimpleHTTPRequestHandler.extensions_map
        | {
            ".html": "text/html; charset=utf-8",
            ".js": "text/javascript; charset=utf-8",
            ".mjs": "text/javascript; charset=utf-8",
            ".css": "text/css; charset=utf-8",
            ".json": "application/json",
            ".svg": "image/svg+xml",
            ".wasm": "application/wasm",
            ".woff": "font/woff",
        }
    )

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")  # what was built anew is seen
        super().end_headers()

    def log_message(self, *args: object) -> None:
        """Print nothing for each file."""


def server(site: Path, port: int | None = None) -> http.server.ThreadingHTTPServer:
    """Return a server of the site, which listens; its `serve_forever` answers.

    Args:
        site: the folder of the site.
        port: where it listens. None: 8000, or any free one.

    Raises:
        ValueError: there is no site yet, or the port is taken.
    """
    if not (site / "index.html").exists():
        raise ValueError("There is no site yet: run make site first.")
    handler = functools.partial(Handler, directory=site)
    for number in (PORT, 0) if port is None else (port,):
        try:
            return http.server.ThreadingHTTPServer((HOST, number), handler)
        except (OSError, OverflowError):
            taken = number
    raise ValueError(f"Nothing can listen on port {taken}: name another one, PORT=8001.")
