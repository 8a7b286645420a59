"""Records: the finished run of a lesson, as `outputs/pretrained/` keeps it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from utils import checkpoints, fetch


def write_record(folder: Path) -> Path:
    """Make a finished run the record of its lesson.

    Kept of its state: the networks that its Trainer names, in half precision, frames and
    history. Left out: optimizers and random generators.

    Raises:
        ValueError: the run is not finished, or was trained on a stand-in.
    """
    metrics, state = checkpoints.read_metrics(folder), checkpoints.load_round(folder)
    if state is None or not metrics or not metrics["status"].startswith("done"):
        raise ValueError(f"{folder} does not hold a finished run.")
    if metrics["standin"]:
        raise ValueError(f"{folder} was trained on a stand-in; a record is of real data.")
    kept = {}
    for key, value in state.items():
        if "/" not in key or key.split("/")[0] in metrics["record"]:
            kept[key] = value.astype("float16") if value.dtype == "float32" else value
    target = checkpoints.record_folder(metrics["lesson"])
    target.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target / "state.npz", **kept)
    for name in ("run.json", "metrics.json"):
        shutil.copy(folder / name, target / name)
    write_sums(target, ("state.npz", "run.json", "metrics.json"))
    return target


def write_sums(folder: Path, names: Sequence[str]) -> None:
    """Write SHA256SUMS, in the form of sha256sum, for these files of a folder."""
    lines = [f"{fetch.sha256((folder / name).read_bytes())}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
