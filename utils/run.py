"""The folder of a run: whose it is, its rounds, frames and history.

    outputs/<lesson>/<preset>/
        run.json         what the run is known by (fingerprint.py)
        rounds/          the last three rounds, each one .npz file with all that a run needs
        frames/          a picture a round
        snapshots/       averaged networks of chosen rounds, in half precision
        history.csv      a line a round
        metrics.json     what was trained on what, how far, how long

A file is written at the end of a round, to another name first, so it is whole or absent; where
several processes train, one of them writes.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import filelock
import numpy as np
import tensorflow as tf

from utils import device, fingerprint, images, runtime, workers
from utils.options import ROOT, option, output_dir
from utils.state import Values

KEEP = 3  # rounds
THEN = " and then on "  # between the devices that trained a run, in metrics.json
WAIT = 10.0  # seconds, for another process that trains in the same folder


def shown(path: Path) -> str:
    """Return a path as messages print it: from the output folder or the project on."""
    for base, within in ((output_dir().parent, output_dir()), (ROOT, ROOT)):
        if path.is_relative_to(within):
            return path.relative_to(base).as_posix()
    return path.as_posix()


def write(path: Path, fill: Callable[[BinaryIO], Any]) -> None:
    """Write a file whole or not at all; of several workers only the chief does, and all wait.

    Args:
        path: of the file; its folder is made where it is missing.
        fill: writes the content into an open file.
    """
    workers.by_chief(lambda: _write(path, fill))


def _write(path: Path, fill: Callable[[BinaryIO], Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".saving")
    try:
        with temporary.open("wb") as file:
            fill(file)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # of no use where the disk is full


def write_json(path: Path, content: Any) -> None:
    """Write plain values as JSON."""
    write(path, _json(content))


def _json(content: Any) -> Callable[[BinaryIO], Any]:
    text = json.dumps(content, indent=1) + "\n"
    return lambda file: file.write(text.encode())


def read_json(path: Path) -> Any:
    """Return what a JSON file holds, None where there is no file.

    Raises:
        ValueError: it is damaged.
    """
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{shown(path)} is damaged: {error}. Mend it, or remove it to go on without what it "
            "says; rounds without a run.json are set aside."
        ) from error


# Whose folder it is


@contextlib.contextmanager
def open_folder(lesson: str, identity: dict[str, Any]) -> Iterator[Path]:
    """Give the folder of the run with this identity, and keep other processes out.

    The first run of a preset gets `<preset>`, one that differs `<preset>-<8 hex digits>`.
    RESTART=1 sets an existing run aside as `<folder>-previous`, or `-previous-2` and so on where
    there is one, and so are rounds without a run.json. The lock ends with the block, or with the
    process.

    Args:
        lesson: name of the lesson.
        identity: as `fingerprint.differences` compares it; kept as run.json.

    Raises:
        OSError: the folder cannot be written to, or another process trains in it.
        ValueError: a run.json is damaged, or workers train other things.
    """
    workers.agree("training", identity)
    folder = find_folder(lesson, identity)
    with contextlib.ExitStack() as stack:
        workers.by_chief(lambda: _take(folder, identity, stack))
        workers.check_shared(folder)
        yield folder


def _take(folder: Path, identity: dict[str, Any], stack: contextlib.ExitStack) -> None:
    """Lock a run's folder until the stack is closed, and prepare it."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.parent / f".{folder.name}.lock"
        stack.enter_context(filelock.FileLock(lock, timeout=WAIT))
        _prepare(folder, identity)
    except filelock.Timeout:
        raise OSError(
            f"Another process trains in {shown(folder)}. Wait until it is done, or stop it, "
            "then run again. To train beside it, set OUTPUT_DIR to another folder."
        ) from None
    except OSError as error:
        raise OSError(
            f"{folder} cannot be written to: {error.strerror or error}. Set OUTPUT_DIR to a "
            "folder that can."
        ) from error


def find_folder(lesson: str, identity: dict[str, Any]) -> Path:
    """Return the folder of the run with this identity; say why it is not the preset's own."""
    preset = runtime.preset()
    first = output_dir() / lesson / preset
    others = sorted(first.parent.glob(f"{first.name}-*/run.json"))
    runs = {file.parent: _known(file) for file in (first / "run.json", *others)}
    for folder, found in runs.items():
        aside = "-previous" in folder.name
        if found and not aside and not fingerprint.differences(found, identity):
            return folder
    found = runs[first]  # read once: another process may write it meanwhile
    if found is None:
        return first
    changed = ", ".join(fingerprint.differences(found, identity))
    own = first.with_name(f"{first.name}-{fingerprint.digest(identity)[:8]}")
    device.say(f"This is not the run in {shown(first)} (changed: {changed}).")
    device.say(f"It is saved in {shown(own)}.")
    return own


def _known(file: Path) -> dict[str, Any] | None:
    """Return what a run.json holds, None where it is missing or empty."""
    return read_json(file) if file.exists() and file.stat().st_size else None


def _prepare(folder: Path, identity: dict[str, Any]) -> None:
    """Set aside a run where RESTART=1 asks for it, or one that nobody knows; mark the folder."""
    for name in ("rounds", "frames", "snapshots"):
        if (folder / name).is_file():
            raise OSError(f"{name} in it is a file, not a folder")
    file = folder / "run.json"
    if option("RESTART") == "1" and file.exists():
        device.say(f"RESTART=1: the earlier run was moved to {_set_aside(folder)}.")
    elif not _known(file) and any(folder.glob("rounds/round-*.npz")):
        device.say(
            f"The rounds in {shown(folder)} belong to an unknown run (run.json is missing or "
            f"empty), so they were moved to {_set_aside(folder)}."
        )
    found = _known(file)
    if not found:
        _write(file, _json(identity))
    elif fingerprint.differences(found, identity):
        raise OSError("another run has just begun there")


def _set_aside(folder: Path) -> str:
    """Rename a run's folder, and return its new name; no earlier one is replaced."""
    numbers = itertools.count(2)
    target = folder.with_name(f"{folder.name}-previous")
    while target.exists():
        target = folder.with_name(f"{folder.name}-previous-{next(numbers)}")
    folder.rename(target)
    return shown(target)


# Rounds


def save_round(
    folder: Path, number: int, state: Values, frame: np.ndarray | None, snapshot: bool = False
) -> None:
    """Write a round's frame, state and snapshot, and drop all states but the last KEEP."""
    if snapshot:
        save_snapshot(folder, number, state)
    if frame is not None:
        save_frame(folder, number, frame)
    write(folder / "rounds" / f"round-{number:05d}.npz", lambda file: np.savez(file, **state))
    if device.is_chief():
        for old in sorted(folder.glob("rounds/round-*.npz"))[:-KEEP]:
            old.unlink(missing_ok=True)


def save_frame(folder: Path, number: int, frame: np.ndarray) -> None:
    """Write a finished picture, uint8 (height, width) or (height, width, 3), as a PNG."""
    write(_frame(folder, number), lambda file: file.write(images.png_bytes(frame)))


def load_round(folder: Path) -> Values | None:
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
            device.say(f"{shown(path)} is damaged ({error}), so the round before it is used.")
    if found:
        where = shown(folder)
        raise ValueError(f"No round in {where} can be read. Set RESTART=1 to set it aside.")
    return None


def frames(folder: Path, rounds: int) -> list[Path]:
    """Return the pictures of the start and of so many rounds; never one of another run."""
    return [path for i in range(rounds + 1) if (path := _frame(folder, i)).exists()]


def _frame(folder: Path, number: int) -> Path:
    return folder / "frames" / f"{number:05d}.png"


def save_snapshot(folder: Path, number: int, state: Values) -> None:
    """Keep the averaged networks of a round, in half precision."""
    kept = {name: half(v) for name, v in state.items() if name.startswith("averaged_")}
    path = folder / "snapshots" / f"{number:05d}.npz"
    write(path, lambda file: np.savez_compressed(file, **kept))


def snapshots(folder: Path) -> list[Path]:
    """Return the files of the rounds whose averaged networks were kept, in order."""
    return sorted((folder / "snapshots").glob("[0-9]*.npz"))


def half(value: np.ndarray) -> np.ndarray:
    """Return float32 as float16, anything else as it is."""
    return value.astype("float16") if value.dtype == "float32" else value


def write_history(folder: Path, history: list[dict[str, float]]) -> None:
    """Write history.csv, a line a round."""
    names = dict.fromkeys(name for row in history for name in row)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=names or ["round"])
    writer.writeheader()
    writer.writerows(history)
    write(folder / "history.csv", lambda file: file.write(text.getvalue().encode()))


def write_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Add to metrics.json; what it held under other names stays."""
    write_json(folder / "metrics.json", {**read_metrics(folder), **metrics})


def read_metrics(folder: Path) -> dict[str, Any]:
    """Return what metrics.json of a run holds, {} where there is none."""
    return read_json(folder / "metrics.json") or {}


def write_status(
    folder: Path, facts: dict[str, Any], data: Any, history: list[dict[str, float]], rounds: int
) -> None:
    """Write history.csv, and in metrics.json how far a run is: until it is done "interrupted".

    Args:
        folder: of the run.
        facts: what else is to be written.
        data: the data set, with its `name` and `standin`.
        history: of the Trainer.
        rounds: of the whole training.
    """
    write_history(folder, history)
    done = len(history)
    status = "done," if done == rounds else "interrupted at"
    facts = facts | {
        "data": data.name,
        "standin": data.standin,
        "status": f"{status} {done} of {rounds}",
        "rounds_done": done,
        "rounds_planned": rounds,
        "steps": history[-1]["step"] if done else 0,
        "seconds": history[-1]["seconds"] if done else 0.0,
    }
    told = read_metrics(folder)
    now = runtime.facts()
    before = told["device"].split(THEN) if done and "device" in told else []
    if done > told.get("rounds_done", 0) or not before:  # what merely opened it trained nothing
        before.append(now["device"])
    write_metrics(folder, facts | now | {"device": THEN.join(dict.fromkeys(before))})


# What a run says


def announce(folder: Path, done: int, rounds: int, steps_per_round: int) -> None:
    """Say where a run begins, and what has trained it so far: perhaps not this machine."""
    where = shown(folder)
    told = read_metrics(folder) if done else {}
    if done >= rounds:
        device.say(f"Done, {done} of {rounds} rounds, in {where}. RESTART=1 trains again.")
    else:
        going_on = f"Continuing after round {done} of {rounds}"
        begin = going_on if done else f"Training {rounds} rounds"
        device.say(f"{begin}, {steps_per_round} steps a round, in {where}.")
    if "precision" in told:
        device.say(f"Trained in {told['precision']} on {told['device']}, {told['date']}.")


@contextlib.contextmanager
def explained(folder: Path, number: int) -> Iterator[None]:
    """Say which round could not be saved, where and why, and what to do.

    Raises:
        OSError: in place of the one in the block.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise OSError(
            f"Round {number} could not be saved in {shown(folder)}: {reason}. The rounds before "
            "it are kept. Make room there, or set right what is named, then run again to go on."
        ) from error


def tell(error: BaseException, done: int, rounds: int, batch_size: int) -> None:
    """Say how an interrupted run ended; raise what is an error.

    Raises:
        MemoryError: the device's memory is full.
        RuntimeError: another worker has ended.
        BaseException: the error, unless it is an interrupt.
    """
    saved = f"saved up to round {done} of {rounds}"
    if isinstance(error, tf.errors.OpError) and (why := workers.ended(error)):
        raise RuntimeError(
            f"Another worker has ended the training: {why}. It is {saved}. Restart all workers to "
            "continue."
        ) from None
    if isinstance(error, tf.errors.ResourceExhaustedError):
        raise MemoryError(
            f"The device's memory is full ({saved}). Lower BATCH_SIZE, now {batch_size}, or the "
            "size of images or networks."
        ) from error
    if not isinstance(error, KeyboardInterrupt):
        raise error
    device.say(f"Interrupted: {saved}. Run again to continue.")
