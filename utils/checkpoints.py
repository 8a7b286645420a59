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

import ast
import csv
import hashlib
import inspect
import json
import os
import re
import shutil
import textwrap
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import keras
import numpy as np

from utils import fetch, runtime
from utils.options import ROOT, option, output_dir

KEEP = 3  # rounds
SCHEDULE = ("ROUNDS",)  # constants that say how long to train, not what is trained
PLAIN = (bool, int, float, str, type(None))


# The fingerprint


def code(function: Callable | type) -> str:
    """Return the source of a function or class without comments and docstrings."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if ast.get_docstring(node) if hasattr(node, "body") and hasattr(node, "name") else None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def used_by(step: Callable) -> dict[str, Any]:
    """Return what a step refers to: the code of its functions, and its plain values."""
    found: dict[str, Any] = {}
    waiting = [step]
    while waiting:
        names = inspect.getclosurevars(waiting.pop())
        for name, value in sorted({**names.globals, **names.nonlocals}.items()):
            if inspect.isfunction(value) and name not in found:
                if value.__module__ in ("__main__", step.__module__):
                    found[name] = code(value)
                    waiting.append(value)
            elif isinstance(value, PLAIN) and name not in SCHEDULE:
                found[name] = value
    return found


def describe(thing: Any) -> Any:
    """Describe a network, layer or optimizer by what it computes, alike in every Keras version.

    Names that Keras numbers by itself, and arguments left at their default, are left out.
    """
    if isinstance(thing, keras.Model):
        config = thing.get_config()
        entries = config.get("layers", []) if isinstance(config, dict) else []
        names = [entry["config"].get("name") for entry in entries]
        wiring = [
            re.findall(r'"keras_history": \["([^"]+)"', json.dumps(e.get("inbound_nodes", [])))
            for e in entries
        ]
        parents = [[names.index(n) for n in wires if n in names] for wires in wiring]
        return {"layers": [describe(layer) for layer in thing.layers], "wiring": parents}
    arguments = {}
    for base in type(thing).__mro__:
        arguments = {**dict(inspect.signature(base.__init__).parameters), **arguments}
    config = {
        key: value
        for key, value in thing.get_config().items()
        if key not in ("name", "dtype", "trainable")
        and not (key in arguments and value == arguments[key].default)
    }
    described = {"kind": type(thing).__name__, **config}
    if isinstance(thing, keras.Layer):
        described["weights"] = [list(w.shape) for w in thing.weights]
        described["dtype"] = thing.compute_dtype
    if type(thing).__module__ == "__main__":
        described["code"] = code(type(thing))
    return described


def fingerprint(
    step: Callable, parts: dict[str, Any], constants: dict[str, Any], data: str
) -> dict[str, Any]:
    """Return what decides the result of a run, in plain values.

    Args:
        step: the training step.
        parts: networks and optimizers by name; other kinds are passed over.
        constants: the lesson's constants.
        data: name of the data set.
    """
    kinds = (keras.Model, keras.optimizers.Optimizer)
    prints = {
        "constants": {k: v for k, v in constants.items() if k not in SCHEDULE},
        "parts": {k: describe(v) for k, v in parts.items() if isinstance(v, kinds)},
        "used by the step": used_by(step),
        "data": data,
        "step": code(step),
        "precision": runtime.training_precision(),
    }
    return json.loads(json.dumps(prints, default=str))


def differences(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Name what differs between two fingerprints, for instance "BATCH_SIZE 64 -> 128"."""
    found = []
    for group in sorted(a.keys() | b.keys()):
        x, y = a.get(group), b.get(group)
        if x == y:
            continue
        if not (isinstance(x, dict) and isinstance(y, dict)):
            found.append(group if group == "step" else f"{group} {x} -> {y}")
            continue
        for key in sorted(x.keys() | y.keys()):
            if x.get(key) != y.get(key):
                plain = isinstance(x.get(key), PLAIN[:3]) and isinstance(y.get(key), PLAIN[:3])
                found.append(f"{key} {x.get(key)} -> {y.get(key)}" if plain else key)
    return list(dict.fromkeys(found))


# The folder of a run


def shown(path: Path) -> str:
    """Return a path as messages print it: from the output folder or the project on."""
    base = output_dir().parent if path.is_relative_to(output_dir()) else ROOT
    return path.relative_to(base).as_posix()


def open_folder(lesson: str, prints: dict[str, Any]) -> Path:
    """Return the folder for this fingerprint, made and marked with it.

    The first run of a preset gets `<preset>`, a changed one `<preset>-<8 hex digits>`.
    RESTART=1 sets an existing run aside as `<folder>-previous`.
    """
    folder = output_dir() / lesson / runtime.preset()
    found = _read_json(folder / "run.json")
    if found not in (None, prints):
        digest = hashlib.sha256(json.dumps(prints, sort_keys=True).encode()).hexdigest()
        own = folder.with_name(f"{folder.name}-{digest[:8]}")
        changed = ", ".join(differences(found, prints))
        print(f"Not the run in {shown(folder)} (changed: {changed}): this one is {shown(own)}.")
        folder = own
    if option("RESTART") == "1" and (folder / "run.json").exists():
        previous = folder.with_name(folder.name + "-previous")
        shutil.rmtree(previous, ignore_errors=True)
        folder.rename(previous)
        print(f"RESTART=1: the earlier run is now in {shown(previous)}.")
    (folder / "rounds").mkdir(parents=True, exist_ok=True)
    _write(folder / "run.json", json.dumps(prints, indent=1))
    return folder


def save_round(folder: Path, number: int, state: dict[str, np.ndarray]) -> None:
    """Write a round's state and drop all but the last KEEP rounds."""
    rounds = folder / "rounds"
    temporary = rounds / "saving.npz"
    np.savez(temporary, **state)
    os.replace(temporary, rounds / f"round-{number:05d}.npz")
    for old in sorted(rounds.glob("round-*.npz"))[:-KEEP]:
        old.unlink()


def load_round(folder: Path) -> dict[str, np.ndarray] | None:
    """Return the state of the newest round, or None where there is none."""
    found = sorted((folder / "rounds").glob("round-*.npz"))
    if not found:
        return None
    with np.load(found[-1], allow_pickle=False) as file:
        return dict(file)


def write_history(folder: Path, history: list[dict[str, float]]) -> None:
    """Write history.csv, a line a round."""
    temporary = folder / "history.csv.saving"
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]) if history else ["round"])
        writer.writeheader()
        writer.writerows(history)
    os.replace(temporary, folder / "history.csv")


def write_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Add to metrics.json; what it held under other names stays."""
    known = _read_json(folder / "metrics.json") or {}
    _write(folder / "metrics.json", json.dumps({**known, **metrics}, indent=1))


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".saving")
    temporary.write_text(text + "\n", encoding="utf-8")
    os.replace(temporary, path)


def _read_json(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


# The record of a finished run


def record_folder(lesson: str) -> Path:
    """Return where the record of a lesson lies: tracked by git, whatever OUTPUT_DIR says."""
    return ROOT / "outputs" / "pretrained" / lesson


def write_record(folder: Path) -> Path:
    """Make a finished run the record of its lesson.

    Kept of its state: the networks, averaged where they were averaged, in half precision,
    frames and history. Left out: optimizers, random generators, copies.

    Raises:
        ValueError: the run is not finished, or was trained on a stand-in.
    """
    metrics, state = _read_json(folder / "metrics.json"), load_round(folder)
    if state is None or not metrics or not metrics["status"].startswith("done"):
        raise ValueError(f"{folder} does not hold a finished run.")
    if metrics["standin"]:
        raise ValueError(f"{folder} was trained on a stand-in; a record is of real data.")
    kept = {k: v for k, v in state.items() if "/" not in k}
    for key, value in state.items():
        part = key.split("/")[0]
        if part in metrics["networks"]:
            value = state.get(f"averaged_{key}", value)
            kept[key] = value.astype("float16") if value.dtype == "float32" else value
    target = record_folder(metrics["lesson"])
    target.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target / "state.npz", **kept)
    for name in ("run.json", "metrics.json"):
        shutil.copy(folder / name, target / name)
    files = ("state.npz", "run.json", "metrics.json")
    lines = [f"{fetch.sha256((target / name).read_bytes())}  {name}" for name in files]
    _write(target / "SHA256SUMS", "\n".join(lines))
    return target


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
    for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, name = line.split()
        if fetch.sha256((folder / name).read_bytes()) != digest:
            raise ValueError(
                f"{shown(folder / name)} is damaged: its SHA-256 is not the one in SHA256SUMS. "
                "Get it again (git checkout), or set RESTART=1 to train anew."
            )
    with np.load(folder / "state.npz", allow_pickle=False) as file:
        return dict(file), metrics


def today() -> str:
    """Return the date as YYYY-MM-DD."""
    return date.today().isoformat()
