"""The options read from the environment, and the folders they decide. Imports nothing heavy."""

from __future__ import annotations

import json
import numbers
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = {  # name: allowed values, the first is the default
    "PRESET": ("auto", "smoke", "quick", "long", "paper"),
    "PRECISION": ("auto", "float32", "bfloat16"),
    "DEVICES": ("one", "all"),
    "XLA": ("auto", "0", "1"),
    "STANDIN": ("auto", "never", "always"),
    "RESTART": ("0", "1"),
}
TF_CONFIG = (
    '{"cluster": {"worker": ["10.0.0.1:12345", "10.0.0.2:12345"]}, '
    '"task": {"type": "worker", "index": 0}}'
)  # an example, for a message


def option(name: str) -> str:
    """Read one of OPTIONS from the environment.

    Raises:
        ValueError: the value is not one of those allowed.
    """
    return one_of(OPTIONS[name], **{name: os.environ.get(name) or OPTIONS[name][0]})


def one_of(allowed: Sequence[str], **values: str) -> str:
    """Check an argument that is one of a few words, and return it.

    Raises:
        ValueError: it is another; the message names it.
    """
    ((name, value),) = values.items()
    if value not in allowed:
        raise ValueError(f"{name}={value!r} is not known. Use one of: {', '.join(allowed)}.")
    return value


def at_least(least: int, **values: int) -> None:
    """Check arguments that are counts or sizes.

    Raises:
        ValueError: one is not a whole number, or less than `least`; the message names it.
    """
    for name, value in values.items():
        is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not is_whole or value < least:
            raise ValueError(f"{name}={value!r}: take a whole number, {least} or more.")


def sides(least: int = 1, **size: int | tuple[int, int]) -> tuple[int, int]:
    """Return height and width of a size, which is one number where they are the same.

    Raises:
        ValueError: one is not a whole number, or less than `least`; the message names it.
    """
    ((name, value),) = size.items()
    both = value if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2:
        raise ValueError(f"{name}={value!r}: take one number, or height and width.")
    for side in both:
        at_least(least, **{name: side})
    return tuple(both)


def expanded(path: str | Path) -> Path:
    """Return a path with its "~" replaced by the home it stands for.

    Raises:
        ValueError: it is the home of nobody.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path}: there is no such home. Write the path in full.") from error


def output_dir() -> Path:
    """Return the folder that runs write to: OUTPUT_DIR, else `outputs/` of the project."""
    return expanded(os.environ.get("OUTPUT_DIR") or ROOT / "outputs").resolve()


class Cluster(NamedTuple):
    """What TF_CONFIG says.

    Attributes:
        addresses: "host:port" of all workers, the chief's first.
        number: which of them this process is; the chief is 0.
    """

    addresses: tuple[str, ...]
    number: int


def cluster() -> Cluster | None:
    """Return what TF_CONFIG says, None where it is not set or names one worker only.

    Raises:
        ValueError: it cannot be read.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text.strip():
        return None
    try:
        jobs, task = (json.loads(text)[name] for name in ("cluster", "task"))
        chiefs = list(jobs.get("chief", ()))
        if unknown := {task["type"], *jobs} - {"chief", "worker"}:
            raise ValueError(f"{min(unknown)!r} is neither chief nor worker")
        addresses = (*chiefs, *jobs["worker"])
        number = int(task["index"]) + len(chiefs) * (task["type"] == "worker")
        for _, port in (address.rsplit(":", 1) for address in addresses):
            int(port)
        if not 0 <= number < len(addresses):
            raise ValueError(f"there is no {task['type']} with the index {task['index']}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"TF_CONFIG cannot be read: {what}. It looks so: {TF_CONFIG}") from None
    return Cluster(addresses, number) if len(addresses) > 1 else None
