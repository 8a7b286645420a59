"""What decides the result of a run, in plain values: the same in every version of Keras."""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterable
from typing import Any

import keras

from utils import runtime

NOT_COUNTED = ("ROUNDS", "SAMPLES", "ADDRESS")  # how long to train, what to measure, where we live
PLAIN = (bool, int, float, str)


def fingerprint(
    step: Callable, parts: dict[str, Any], constants: dict[str, Any], data: str
) -> dict[str, Any]:
    """Return the fingerprint of a run.

    Args:
        step: the training step.
        parts: by name; networks and optimizers count, other kinds are passed over.
        constants: of the lesson.
        data: name of the data set; checksum of images of one's own.
    """
    kinds = (keras.Model, keras.optimizers.Optimizer)
    found = {
        "constants": {k: v for k, v in constants.items() if k not in NOT_COUNTED},
        "parts": {k: describe(v) for k, v in parts.items() if isinstance(v, kinds)},
        "used by the step": used_by(step),
        "data": data,
        "step": code(step),
        "precision": runtime.training_precision(),
    }
    return json.loads(json.dumps(found, default=str))


def code(thing: Callable | type) -> str:
    """Return the source of a function or class without comments and docstrings."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def used_by(step: Callable) -> dict[str, Any]:
    """Return what a step refers to, the losses above all: code, Keras losses, plain values."""
    found: dict[str, Any] = {}
    waiting = [step]
    while waiting:
        names = inspect.getclosurevars(waiting.pop())
        for name, value in {**names.globals, **names.nonlocals}.items():
            if isinstance(value, PLAIN):
                found[name] = value
            elif isinstance(value, keras.losses.Loss):
                found[name] = describe(value)
            elif inspect.isfunction(value) and "-packages" not in value.__code__.co_filename:
                if name not in found:
                    waiting.append(value)
                found[name] = code(value)
    return found


def check_owned(step: Callable, parts: Iterable[Any]) -> None:
    """Check that the networks and optimizers that a step refers to are these parts.

    Raises:
        ValueError: one is another, as after its cell was run again.
    """
    names = inspect.getclosurevars(step)
    for name, value in {**names.globals, **names.nonlocals}.items():
        changes = isinstance(value, keras.Model | keras.optimizers.Optimizer)
        if changes and not any(value is part for part in parts):
            raise ValueError(
                f"train_step uses a `{name}` that this Trainer does not have. If you ran its "
                "cell again, run all cells below it again too; else pass it to Trainer."
            )


def describe(thing: Any) -> Any:
    """Describe a network, layer, optimizer or loss by what it computes.

    Left out are names, which Keras numbers by itself, and arguments at their default, which
    differ between versions.
    """
    config = thing.get_config()
    if isinstance(thing, keras.Model) and "layers" in config:
        names = [entry["config"].get("name") for entry in config["layers"]]
        nodes = [json.dumps(entry.get("inbound_nodes", [])) for entry in config["layers"]]
        found = [re.findall(r'"keras_history": \["([^"]+)"', node) for node in nodes]
        wiring = [[names.index(name) for name in inputs] for inputs in found]
        return {"layers": [describe(layer) for layer in thing.layers], "wiring": wiring}
    defaults = {}
    for base in reversed(type(thing).__mro__):
        defaults |= {k: p.default for k, p in inspect.signature(base.__init__).parameters.items()}
    left_out = ("name", "dtype", "trainable")
    chosen = {
        key: value
        for key, value in config.items()
        if key not in left_out and (key not in defaults or value != defaults[key])
    }
    chosen["kind"] = getattr(thing, "computes", type(thing).__name__)
    if isinstance(thing, keras.Layer):
        chosen["weights"] = [list(weight.shape) for weight in thing.weights]
    if type(thing).__module__ == "__main__":
        chosen["code"] = code(type(thing))
    return chosen


def differences(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Name what differs between two fingerprints, for instance "BATCH_SIZE 64 -> 128"."""
    found = []
    for group in a:
        if not isinstance(a[group], dict):
            a_values, b_values = {group: a[group]}, {group: b.get(group)}
        else:
            a_values, b_values = a[group], b.get(group, {})
        for key in sorted(a_values.keys() | b_values.keys()):
            x, y = a_values.get(key), b_values.get(key)
            short = all(isinstance(v, PLAIN) and "\n" not in str(v) for v in (x, y))
            if x != y:
                found.append(f"{key} {x} -> {y}" if short else key)
    return list(dict.fromkeys(found))
