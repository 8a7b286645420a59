"""Records: the finished runs that outputs/pretrained/ keeps, opened instead of training again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from utils import device, fingerprint, run, runtime, sources, state
from utils.options import ROOT, option

FirstUpdate = Callable[[], dict[str, list]]  # see `fingerprint.first_update`
Identity = dict[str, Any]


def record_folder(lesson: str) -> Path:
    """Return where the record of a lesson lies: tracked by git, whatever OUTPUT_DIR says."""
    return ROOT / "outputs" / "pretrained" / lesson


def opened(
    folder: Path, own: state.State, identity: Identity, rounds: int, first_update: FirstUpdate
) -> state.Values | None:
    """Copy the record into a run's folder, and return the values to go on with, or None.

    Args:
        folder: of the run.
        own: its state.
        identity, rounds, first_update: as in `load_record`.
    """
    found = load_record(own.lesson, identity, rounds, first_update)
    if found is None:
        return None
    kept, told = found
    for number, name in enumerate(sorted(n for n in kept if n.startswith("frame/"))):
        run.save_frame(folder, number, kept[name])
    run.write_history(folder, json.loads(str(kept["history"])))
    run.write_metrics(folder, told)
    device.say(f"Opened the record of {told['date']}.")
    return own.of_record(kept) | {"history": kept["history"]}


def load_record(
    lesson: str, identity: Identity, rounds: int, first_update: FirstUpdate
) -> tuple[state.Values, dict[str, Any]] | None:
    """Return (values, metrics) of the record, or None where it is of something else.

    Precision, XLA and the number of devices need not agree. A record never opens over a stand-in.

    Args:
        lesson: whose record.
        identity: of the run.
        rounds: of the whole training.
        first_update: does the first update and takes it back; asked where versions differ and
            what is computed seems to.

    Raises:
        ValueError: a file of the record is damaged.
    """
    folder = record_folder(lesson)
    found = run.read_json(folder / "run.json")
    metrics = run.read_metrics(folder)
    if runtime.preset() != "long" or option("RESTART") == "1" or not found or not metrics:
        return None
    if identity["machine"]["replicas"] > 1:
        device.say(
            f"The record in {run.shown(folder)} is of one device, so it is not compared with "
            "this run on several. Set DEVICES=one to open it."
        )
        return None
    changed = _changes(found, identity, first_update)
    if identity["data"]["standin"]:
        changed = ["the data are a stand-in"]
    elif metrics["rounds_done"] != rounds:
        changed.append(f"rounds {metrics['rounds_done']} → {rounds}")
    if changed:
        where = run.shown(folder)
        device.say(f"The record in {where} is not opened (changed: {', '.join(changed)}).")
        return None
    return load_state(folder), metrics


def _changes(found: Identity, identity: Identity, first_update: FirstUpdate) -> list[str]:
    """Name what differs; where only the print and the versions do, the first update decides."""
    changed = fingerprint.differences(found, identity, machines=False)
    if changed != [fingerprint.COMPUTES] or found["versions"] == identity["versions"]:
        return changed
    if not fingerprint.same_update(found.get("first update", {}), first_update()):
        return [*changed, "what the first update does"]
    device.say("These versions build the step differently, but its first update agrees.")
    return []


def load_state(folder: Path) -> state.Values:
    """Return the values in a record's folder, once its checksums are right."""
    sources.check_sums(folder)
    with np.load(folder / "state.npz", allow_pickle=False) as file:
        return dict(file)


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
        raise FileNotFoundError(f"There is no record of {lesson} in {run.shown(folder)}.")
    state = load_state(folder)
    for name, network in networks.items():
        at_end = name.replace("best_", "averaged_", 1)
        for i, variable in enumerate(network.variables):
            value = state.get(f"{name}/{i:03d}", state.get(f"{at_end}/{i:03d}"))
            if value is None or value.shape != tuple(variable.shape):
                raise ValueError(f"The record of {lesson} has no {name} like this one.")
            variable.assign(value)
    return run.read_metrics(folder)
