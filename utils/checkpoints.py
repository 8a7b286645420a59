"""The folder of a run: its fingerprint, its rounds, and the record of a finished run.

    outputs/<lesson>/<preset>/
        run.json         the fingerprint: what was trained
        rounds/          the last three rounds, each one .npz file with all that a run needs
        history.csv      a line a round
        metrics.json     what was trained on what, how far, how long

State is written at the end of a round, to another name first, so a file is whole or absent.
The record of a finished `long` run lies in outputs/pretrained/<lesson>/ and counts as a
finished run wherever constants, networks, losses and data are the same.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import keras
import numpy as np

from utils import runtime, sources
from utils.fingerprint import differences
from utils.options import ROOT, option, output_dir

KEEP = 3  # rounds
WAIT = 10.0  # seconds, for another process that trains in the same folder


def shown(path: Path) -> str:
    """Return a path as messages print it: from the output folder or the project on."""
    base = output_dir().parent if path.is_relative_to(output_dir()) else ROOT
    return path.relative_to(base).as_posix()


@contextlib.contextmanager
def open_folder(lesson: str, prints: dict[str, Any]) -> Iterator[Path]:
    """Give the folder for this fingerprint, marked with it, and keep other processes out.

    The first run of a preset gets `<preset>`, a changed one `<preset>-<8 hex digits>`.
    RESTART=1 sets an existing run aside as `<folder>-previous`. The lock ends with the block,
    or with the process.

    Args:
        lesson: name of the lesson.
        prints: of `fingerprint`.

    Raises:
        OSError: the folder cannot be written to, or another process trains in it.
        ValueError: its run.json is damaged.
    """
    folder = output_dir() / lesson / runtime.preset()
    found = _read_json(folder / "run.json")
    if found not in (None, prints):
        digest = hashlib.sha256(json.dumps(prints, sort_keys=True).encode()).hexdigest()
        own = folder.with_name(f"{folder.name}-{digest[:8]}")
        changed = ", ".join(differences(found, prints))
        print(f"Not the run in {shown(folder)} (changed: {changed}): this one is {shown(own)}.")
        folder = own
    with contextlib.ExitStack() as stack:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = folder.parent / f".{folder.name}.lock"
            stack.enter_context(filelock.FileLock(lock, timeout=WAIT))
            _prepare(folder, prints)
        except filelock.Timeout:
            raise OSError(
                f"Another process trains in {shown(folder)}. Wait until it is done, or stop it, "
                "then run again. To train beside it, set OUTPUT_DIR to another folder."
            ) from None
        except OSError as error:
            reason = error.strerror or error
            raise OSError(
                f"{folder} cannot be written to: {reason}. Set OUTPUT_DIR to a folder that can."
            ) from error
        yield folder


def _prepare(folder: Path, prints: dict[str, Any]) -> None:
    if option("RESTART") == "1" and (folder / "run.json").exists():
        previous = folder.with_name(folder.name + "-previous")
        shutil.rmtree(previous, ignore_errors=True)
        folder.rename(previous)
        print(f"RESTART=1: the earlier run is now in {shown(previous)}.")
    if _read_json(folder / "run.json") not in (None, prints):
        raise OSError("another run has just begun there")
    (folder / "rounds").mkdir(parents=True, exist_ok=True)
    _write(folder / "run.json", json.dumps(prints, indent=1))


def save_round(folder: Path, number: int, state: dict[str, np.ndarray]) -> None:
    """Write a round's state and drop all but the last KEEP rounds."""
    rounds = folder / "rounds"
    temporary = rounds / "saving.npz"
    try:
        np.savez(temporary, **state)
        os.replace(temporary, rounds / f"round-{number:05d}.npz")
    finally:
        temporary.unlink(missing_ok=True)  # of no use where the disk is full
    for old in sorted(rounds.glob("round-*.npz"))[:-KEEP]:
        old.unlink()


def load_round(folder: Path) -> dict[str, np.ndarray] | None:
    """Return the state of the newest round that can be read, or None where there is no round.

    Raises:
        ValueError: there are rounds, but none can be read.
    """
    found = sorted((folder / "rounds").glob("round-*.npz"), reverse=True)
    for path in found:
        try:
            with np.load(path, allow_pickle=False) as file:
                return dict(file)
        except Exception as error:  # whatever a damaged archive raises
            print(f"{shown(path)} is damaged ({error}): the round before is used.")
    if found:
        where = shown(folder)
        raise ValueError(f"No round in {where} can be read. Set RESTART=1 to set it aside.")
    return None


def write_history(folder: Path, history: list[dict[str, float]]) -> None:
    """Write history.csv, a line a round."""
    temporary = folder / "history.csv.saving"
    with temporary.open("w", newline="", encoding="utf-8") as file:
        names = dict.fromkeys(name for row in history for name in row)
        writer = csv.DictWriter(file, fieldnames=names or ["round"])
        writer.writeheader()
        writer.writerows(history)
    os.replace(temporary, folder / "history.csv")


def write_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Add to metrics.json; what it held under other names stays."""
    known = read_metrics(folder)
    _write(folder / "metrics.json", json.dumps({**known, **metrics}, indent=1))


def read_metrics(folder: Path) -> dict[str, Any]:
    """Return what metrics.json of a run holds, {} where there is none."""
    return _read_json(folder / "metrics.json") or {}


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".saving")
    temporary.write_text(text + "\n", encoding="utf-8")
    os.replace(temporary, path)


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        where = shown(path)
        raise ValueError(f"{where} is damaged: {error}. Remove it to go on without it.") from error


def record_folder(lesson: str) -> Path:
    """Return where the record of a lesson lies: tracked by git, whatever OUTPUT_DIR says."""
    return ROOT / "outputs" / "pretrained" / lesson


def load_record(
    lesson: str, prints: dict[str, Any], rounds: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Return (state, metrics) of the record, or None where it is of something else.

    Compared are constants, networks, optimizers, losses, data and the number of rounds; not
    the step's own code nor the precision.

    Raises:
        ValueError: a file of the record is damaged.
    """
    folder = record_folder(lesson)
    found, metrics = _read_json(folder / "run.json"), _read_json(folder / "metrics.json")
    if runtime.preset() != "long" or option("RESTART") == "1" or not found or not metrics:
        return None
    same = all(found[k] == prints[k] for k in found if k not in ("step", "precision"))
    if not same or metrics["rounds_done"] != rounds:
        return None
    sources.check_sums(folder)
    with np.load(folder / "state.npz", allow_pickle=False) as file:
        return dict(file), metrics


def load_networks(lesson: str, **networks: keras.Model) -> dict[str, Any]:
    """Set the weights of networks to those in the record of a lesson.

    Args:
        lesson: whose record.
        **networks: by the name of a part of the run, for instance `discriminator`,
            `averaged_generator` (at the end) or `best_generator` (at the best score; where the
            record lacks one, the end was best).

    Returns:
        The metrics of the record.

    Raises:
        FileNotFoundError: the lesson has no record.
        ValueError: the record is damaged, or is of other networks.
    """
    folder = record_folder(lesson)
    if not (folder / "SHA256SUMS").exists():
        raise FileNotFoundError(f"There is no record of {lesson} in {shown(folder)}.")
    sources.check_sums(folder)
    with np.load(folder / "state.npz", allow_pickle=False) as file:
        state = dict(file)
    for name, network in networks.items():
        for i, variable in enumerate(network.variables):
            at_end = name.replace("best_", "averaged_", 1)
            value = state.get(f"{name}/{i:03d}", state.get(f"{at_end}/{i:03d}"))
            if value is None or value.shape != tuple(variable.shape):
                raise ValueError(f"The record of {lesson} has no {name} like this one.")
            variable.assign(value)
    return _read_json(folder / "metrics.json")
