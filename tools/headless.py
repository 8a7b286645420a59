"""Run a lesson without a browser: its progress goes to the terminal, its pages to `outputs/`."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from tools import pages
from utils.options import OPTIONS, ROOT, cluster, expanded, option, output_dir

TOGETHER = (
    "TF_CONFIG is set: where one worker ends, the others end too. Start all of them again, and the "
    "training continues after the last round that was saved."
)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def run(lesson: str, preset: str = "", to_page: bool = False) -> int:
    """Execute a lesson, stream what it prints, save it, and list what it left.

    Args:
        lesson: name of a lesson.
        preset: sets PRESET; empty leaves it as it is.
        to_page: where the lesson ran to its end, save its outputs in `notebooks/` too, and its
            picture in `outputs/gallery/`.

    Returns:
        Exit status: 0; 1 where a cell failed; 130 where the run was interrupted.

    Raises:
        ValueError: an unknown lesson, or an option that is not allowed.
    """
    if lesson not in pages.lessons():
        raise ValueError(f"LESSON={lesson!r} is not known. Known: {', '.join(pages.lessons())}.")
    _set_options(preset)
    several = cluster()
    is_chief = not several or several.number == 0
    began, error = time.perf_counter(), ""
    page = pages.Page(lesson)
    os.environ["PAGE"] = f"{lesson} {_digest(page)}"  # several workers compare it
    client = page.client(_Headless)
    try:
        client.execute()
    except CellExecutionError as failure:
        stopped = client.interrupted and failure.ename == "KeyboardInterrupt"
        error = "" if stopped else str(failure)
    except DeadKernelError as failure:
        error = str(failure)
    finally:  # before anything else can fail
        folder = _save(page, list(client.folders)) if is_chief else None
    finished = is_chief and not error and not client.interrupted
    if to_page and finished:
        page.clean()
        page.save()
        _copy_pictures(folder, lesson)
    try:
        if is_chief:
            _report(folder, time.perf_counter() - began)
    finally:
        if error:
            shown = error if sys.stderr.isatty() else COLOURS.sub("", error)
            print(f"\nA cell failed.\n{shown}", file=sys.stderr)
            if several:
                print(TOGETHER, file=sys.stderr)
    return 1 if error else 130 if client.interrupted else 0


def _digest(page: pages.Page) -> str:
    code = "\n".join(cell.source for cell in page.code)
    return hashlib.sha256(code.encode()).hexdigest()[:8]


def own_folder(folders: Sequence[str], lesson: str) -> str:
    """Return the folder of the training that has the lesson's name, or else of the last one.

    Args:
        folders: of a page's trainings; "" is returned where there are none.
        lesson: name of the page.
    """
    own = [folder for folder in folders if Path(folder).parent.name == lesson]
    return (own or list(folders) or [""])[-1]


def _set_options(preset: str) -> None:
    """Set and check what the kernel will read; it runs in another folder."""
    if preset:
        os.environ["PRESET"] = preset
    for name in OPTIONS:
        option(name)
    for name in ("DATA_DIR", "OUTPUT_DIR"):
        if os.environ.get(name):
            os.environ[name] = str(expanded(os.environ[name]).resolve())


class _Headless(NotebookClient):
    """Streams text and the live panel; an interrupt ends the cell, then the run."""

    def __init__(self, notebook: nbformat.NotebookNode, **options: Any) -> None:
        super().__init__(notebook, **options)
        self.interrupted = self.line_open = False
        self.folders: dict[str, None] = {}  # of the trainings, in their order

    def _interrupt(self) -> None:
        self.interrupted = True
        self.sending = asyncio.ensure_future(self.km.interrupt_kernel())

    async def async_execute_cell(self, cell: Any, index: int, **options: Any) -> Any:
        if self.interrupted:
            return cell
        # nbclient's own handlers kill the kernel. Windows has none of this kind.
        with contextlib.suppress(RuntimeError):
            for name in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(name, self._interrupt)
        heading = re.match(r"##? .+", cell.source) if cell.cell_type == "markdown" else None
        if heading:
            self._print(f"\n{heading[0]}\n")
        return await super().async_execute_cell(cell, index, **options)

    def process_message(self, message: dict, cell: Any, index: int) -> Any:
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            self._print(content["text"])
        elif kind in ("display_data", "update_display_data"):
            panel, text = content["metadata"].get("panel"), content["data"].get("text/plain", "")
            if panel:
                self.folders[panel["folder"]] = None
                if sys.stdout.isatty():
                    width = shutil.get_terminal_size().columns
                    print(f"\r\033[K{text[: width - 1]}", end="", flush=True)
                    self.line_open = True
                elif panel["ends_round"]:
                    self._print(text.partition(" ")[2] + "\n")  # without the bar
            elif "text/markdown" in content["data"]:  # a table
                self._print(f"{text}\n")
        return super().process_message(message, cell, index)

    def _print(self, text: str) -> None:
        with contextlib.suppress(OSError):  # nobody reads it any more, as after `| head`
            print("\n" * self.line_open + text, end="", flush=True)
        self.line_open = False


def _copy_pictures(folder: Path, lesson: str) -> None:
    for made, kept in ("training_small.gif", f"{lesson}.gif"), (f"{lesson}.png",) * 2:
        if (folder / made).exists():
            shutil.copy(folder / made, ROOT / "outputs/gallery" / kept)


def _save(page: pages.Page, folders: Sequence[str]) -> Path:
    """Save an executed page where its training is, or else in a new folder; return which."""
    own = own_folder(folders, page.lesson)
    folder = ROOT / (own or output_dir() / page.lesson / _default_folder())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        page.save(folder / page.path.name)
    except OSError as error:
        why = f"{folder} cannot be written to: {error.strerror or error}."
        folder = Path(tempfile.mkdtemp(prefix=f"{page.lesson}-"))
        page.save(folder / page.path.name)
        print(f"\n{why} The executed page is in {folder}.", file=sys.stderr)
    return folder


def _default_folder() -> str:
    """Return the folder of a lesson that did not come as far as training."""
    if option("PRESET") != "auto":
        return option("PRESET")
    try:
        from utils import runtime  # slow, so only here

        return runtime.preset()
    except Exception:  # of the same cause as in the page, which says it
        return "quick"


def _report(folder: Path, seconds: float) -> None:
    print(f"\nLeft in {folder}:")
    for path in sorted(folder.iterdir()):
        files = path.rglob("*") if path.is_dir() else [path]
        size = sum(file.stat().st_size for file in files if file.is_file()) / 1000
        print(f"  {path.name + '/' * path.is_dir():20}{size:>10,.0f} kB")
    if (folder / "metrics.json").exists():
        told = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        print(
            f"{told['data']}: {told['status']} rounds, {told['seconds']:.0f} s of training",
            end=", ",
        )
    print(f"{seconds:.0f} s in all.")
