"""Records: the finished run of a lesson, as `outputs/pretrained/` keeps it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tools import headless
from utils import checkpoints, sources

TERMS = {
    "MNIST": "those of LeCun, Cortes and Burges",
    "horse2zebra": "research use: the photographs are from ImageNet",
    "BSDS500": "cite Arbeláez et al. 2011",
    "DIV2K": "research use: cite Agustsson and Timofte 2017",
}


def write_record(folder: Path) -> Path:
    """Make a finished run the record of its lesson.

    Kept of its state: the networks that its Trainer names, in half precision, frames and
    history. Left out: optimizers and random generators, how the step was compiled, and best weights
    that are the averaged ones of the end, which stand for them.

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
        if key != "xla" and ("/" not in key or key.split("/")[0] in metrics["record"]):
            kept[key] = value.astype("float16") if value.dtype == "float32" else value
    best = [key for key in kept if key.startswith("best_")]
    at_end = {key: key.replace("best_", "averaged_", 1) for key in best}
    if all(b in kept and np.array_equal(kept[a], kept[b]) for a, b in at_end.items()):
        kept = {key: value for key, value in kept.items() if key not in best}
    target = checkpoints.record_folder(metrics["lesson"])
    target.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target / "state.npz", **kept)
    for name in ("run.json", "metrics.json"):
        shutil.copy(folder / name, target / name)
    write_card(target)
    return target


def write_card(folder: Path) -> None:
    """Write README.md of a record, from its metrics.json, and its SHA256SUMS."""
    told = checkpoints.read_metrics(folder)
    lesson, data = told["lesson"], told["data"]
    # A lesson with two trainings, such as 09, has two records.
    page = next((name for name in headless.lessons() if name[:3] == lesson[:3]), lesson)
    with np.load(folder / "state.npz", allow_pickle=False) as file:
        held = {key.split("/")[0] for key in file.files if "/" in key}
    versions = ", ".join(f"{k} {v}" for k, v in told["versions"].items() if k != "system")
    lines = [
        f"# Weights of lesson {lesson}\n",
        f"- Trained on {data}, preset `{told['preset']}`: {told['steps']:,} updates in "
        f"{told['seconds']:,.0f} s, {told['date']}, on {told['device']}, {told['precision']}.",
        f"- With {versions}.",
        f"- Made by `make run LESSON={page} PRESET=long`, then `make record`.",
        f"- `state.npz` holds {', '.join(sorted(held))} in half "
        "precision, the history and the frames. `PRESET=long` on the unchanged lesson opens it.",
        f"- Terms: the project's for the weights; for the data, {TERMS.get(data, 'its owner')}.\n",
    ]
    rows = {k: v for k, v in told.get("scores", {}).items() if isinstance(v, dict)}
    names = {name: 0 for row in rows.values() for name, v in row.items() if np.isscalar(v)}
    if names:
        lines += [f"| | {' | '.join(rows)} |", "|---" * (len(rows) + 1) + "|"]
    for name in names:
        cells = [f"{row[name]:.4g}" if name in row else "" for row in rows.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_sums(folder, ("README.md", "state.npz", "run.json", "metrics.json"))


def write_sums(folder: Path, names: Sequence[str]) -> None:
    """Write SHA256SUMS, in the form of sha256sum, for these files of a folder."""
    lines = [f"{sources.sha256((folder / name).read_bytes())}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
