"""Records: the finished run of a lesson, as `outputs/pretrained/` keeps it.

    python -m tools.records LESSON COMMIT

gives the records of a lesson the print of what its page computes now, after a change of the page
that computes the same: once the update as it was at COMMIT and the one of now, op by op from one
state with the same z and noise, agree bit for bit on a batch. It needs the real data.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from tools import update
from utils import record, run, sources
from utils.options import ROOT

TERMS = {
    "MNIST": "those of LeCun, Cortes and Burges",
    "horse2zebra": "research use: the photographs are from ImageNet",
    "BSDS500": "cite Arbeláez et al. 2011",
    "DIV2K": "research use: cite Agustsson and Timofte 2017",
    "CelebA": "non-commercial research and education only: cite Liu et al. 2015",
}
BOUND = ("horse2zebra", "BSDS500", "DIV2K", "CelebA")  # their terms bind the weights, too
TRAININGS = {  # of the pages that have several
    "01_gan": ("01_gan", "01_gan_collapse"),
    "09_srgan": ("09_srresnet", "09_srgan"),
    "10_pggan": tuple(f"10_pggan_{size}" for size in (4, 8, 16, 32, 64)),
}


def write_record(folder: Path) -> Path:
    """Make a finished run the record of its lesson.

    Kept of its state: the networks that its Trainer names, in half precision, frames and
    history; beside it the snapshots, a file a round. Left out: optimizers and random generators,
    and best weights that are the averaged ones of the end, which stand for them.

    Raises:
        ValueError: the run is not finished, or was trained on a stand-in.
    """
    metrics = run.read_metrics(folder)
    state = run.load_round(folder)
    if state is None or not metrics or not metrics["status"].startswith("done"):
        raise ValueError(f"{folder} does not hold a finished run.")
    if metrics["standin"]:
        raise ValueError(f"{folder} was trained on a stand-in; a record is of real data.")
    networks = tuple(f"{name}/" for name in metrics["record"])
    kept = {k: run.half(v) for k, v in state.items() if k.startswith(networks) or "/" not in k}
    kept |= _frames(run.frames(folder, metrics["rounds_done"]))
    best = [key for key in kept if key.startswith("best_")]
    at_end = {key: kept.get(key.replace("best_", "averaged_", 1)) for key in best}
    if all(np.array_equal(kept[key], value) for key, value in at_end.items()):
        kept = {key: value for key, value in kept.items() if key not in best}
    target = record.record_folder(metrics["lesson"])
    target.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target / "state.npz", **kept)
    for name in ("run.json", "metrics.json"):
        shutil.copy(folder / name, target / name)
    for path in run.snapshots(folder):
        shutil.copy(path, target / f"snapshot-{path.name}")
    write_card(target)
    return target


def _frames(paths: Sequence[Path]) -> dict[str, np.ndarray]:
    return {f"frame/{i:05d}": iio.imread(path) for i, path in enumerate(paths)}


def write_card(folder: Path) -> None:
    """Write README.md of a record, from its metrics.json, and its SHA256SUMS."""
    told = run.read_metrics(folder)
    lesson = told["lesson"]
    data = told["data"]
    page = next((p for p, names in TRAININGS.items() if lesson in names), lesson)
    with np.load(folder / "state.npz", allow_pickle=False) as file:
        names = {key.split("/")[0] for key in file.files if "/" in key} - {"frame"}
    snapshots = sorted(path.name for path in folder.glob("snapshot-*.npz"))
    versions = ", ".join(f"{k} {v}" for k, v in told["versions"].items() if k != "system")
    whose = "those of the data" if data in BOUND else "the project's"
    lines = [
        f"# Weights of lesson {lesson}\n",
        f"- Trained on {data}, preset `{told['preset']}`: {told['steps']:,} updates in "
        f"{told['seconds']:,.0f} s, {told['date']}, on {told['device']}, {told['precision']}.",
        f"- With {versions}.",
        f"- Made by `make run LESSON={page} PRESET=long`, then `make record`.",
        f"- `state.npz` holds {', '.join(sorted(names))} in half "
        "precision, the history and the frames. `PRESET=long` on the unchanged lesson opens it.",
        *_told(snapshots),
        f"- Terms: {whose} for the weights; for the data, {TERMS.get(data, 'its owner')}.\n",
        *_scores(told.get("scores", {})),
    ]
    (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_sums(folder, ("README.md", "state.npz", "run.json", "metrics.json", *snapshots))


def _told(snapshots: Sequence[str]) -> list[str]:
    """Return the line of a card on snapshots, none where there are none."""
    numbers = ", ".join(str(int(name[len("snapshot-") : -len(".npz")])) for name in snapshots)
    line = f"- `snapshot-*.npz`: the averaged networks after rounds {numbers}."
    return [line] if snapshots else []


def _scores(scores: dict) -> list[str]:
    """Return the lines of a table of scores."""
    columns = {name: found for name, found in scores.items() if isinstance(found, dict)}
    measures = {m: 0 for found in columns.values() for m, v in found.items() if np.isscalar(v)}
    if not measures:
        return []
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for measure in measures:
        cells = [f"{c[measure]:.4g}" if measure in c else "" for c in columns.values()]
        lines.append(f"| {measure} | {' | '.join(cells)} |")
    return lines


def write_sums(folder: Path, names: Sequence[str]) -> None:
    """Write SHA256SUMS, in the form of sha256sum, for these files of a folder."""
    lines = [f"{sources.sha256((folder / name).read_bytes())}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


# A new print for an old record


def reprint(lesson: str, commit: str) -> None:
    """Give a lesson's records the print of what the page computes now.

    Args:
        lesson: name of the page.
        commit: at which the record's page stood, or one that computed the same.

    Raises:
        ValueError: the updates of then and now do not agree.
    """
    for name in TRAININGS.get(lesson, (lesson,)):
        with checkout(commit) as old:
            different = disagree(old, lesson, name)
        if different:
            raise ValueError(f"{name}: the updates differ, so the record stays: {different}")
        print(f"{name}: two updates of then and now agree bit for bit.")
        _write_identity(lesson, name)


@contextlib.contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """Give a folder with the project as it was at a commit."""
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(
            ["git", "archive", commit], cwd=ROOT, check=True, capture_output=True
        )
        subprocess.run(["tar", "x", "-C", folder], input=packed.stdout, check=True)
        yield Path(folder)


def disagree(old: Path, lesson: str, name: str) -> list[str]:
    """Name what two updates of then and now make different, [] where all is bit-equal."""
    with tempfile.TemporaryDirectory() as outputs:
        files = [Path(outputs, f"{i}.npz") for i in range(2)]
        for root, file in zip((ROOT, old), files, strict=True):
            if root == old:
                _hand_over(*files)
            options = {"PRESET": "long", "PRECISION": "float32", "STANDIN": "never"}
            options |= {"OUTPUT_DIR": str(file.with_suffix("")), "PYTHONPATH": str(root)}
            command = [sys.executable, update.__file__, str(root), lesson, name, str(file)]
            subprocess.run(command, env=os.environ | options, check=True)
        found = [dict(np.load(file)) for file in files]
    made = [{k: v for k, v in one.items() if k.startswith("made ")} for one in found]
    names = made[0].keys() | made[1].keys()
    return sorted(n for n in names if not np.array_equal(made[0].get(n), made[1].get(n)))


def _hand_over(first: Path, second: Path) -> None:
    """Write what the second run begins with: state and batch of the first."""
    with np.load(first) as file:
        given = {k: v for k, v in file.items() if not k.startswith("made ")}
    np.savez(second, **given)


def _write_identity(lesson: str, name: str) -> None:
    """Write what the page computes now into a record."""
    folder = record.record_folder(name)
    identity = _identity_of(lesson, name)
    told = run.read_metrics(folder)
    identity["machine"]["precision"] = told["precision"]
    identity["start is"] = "that of the page as it is now: assumed"
    run.write_json(folder / "run.json", identity)
    write_card(folder)


def _identity_of(lesson: str, name: str) -> dict:
    """Return what a page's training is known by, with its first update, by a process of its own."""
    with tempfile.TemporaryDirectory() as outputs:
        file = Path(outputs, "identity.json")
        options = {"PRESET": "long", "PRECISION": "float32", "STANDIN": "never"}
        command = [sys.executable, "-m", "tools.records", "identity", lesson, name, str(file)]
        environment = os.environ | options | {"OUTPUT_DIR": outputs}
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
        return json.loads(file.read_text(encoding="utf-8"))


def add_first_update(name: str) -> None:
    """Note in a new record what the first update of its page does, for versions to come."""
    page = next((p for p, names in TRAININGS.items() if name in names), name)
    folder = record.record_folder(name)
    identity = run.read_json(folder / "run.json")
    identity["first update"] = _identity_of(page, name)["first update"]
    run.write_json(folder / "run.json", identity)
    write_card(folder)


def write_identity(lesson: str, name: str, file: str) -> None:
    """Write what a page's training is known by, with its first update, as JSON."""
    trainer, _ = update.reach(ROOT, lesson, name)
    identity = trainer.identity()
    identity["first update"] = trainer.first_update()
    Path(file).write_text(json.dumps(identity), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1] == "identity":
        write_identity(*sys.argv[2:])
    else:
        reprint(*sys.argv[1:])
