"""What decides the result of a run, in values that can be compared, and in what two runs differ.

A run is known by what it computes, not by how that is written: `computed` is one print of the
traced update, `start` the values that it begins with. Names, comments and the order of building
do not count.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from utils import device, runtime

NOT_COUNTED = ("ROUNDS", "SAMPLES", "XLA", "ADDRESS")  # how long, what to measure, how compiled
FORM = 3  # of run.json
COMPUTES = "what train_step computes"
MOMENTS = 0.02  # tolerance of Adam's first moments after one update
EXACT = ("results", "rates", "averages")  # of a first update
TOLERANCE = 1e-4  # of a start: another processor may round the last bit of a random number
NOTES = {"container", "shared_name", "config", "config_proto", "executor_type", "debug_name"}
NOTES |= {"name", "read_only_resource_inputs", "parallel_iterations", "output_shapes"}
PASS_ON = {"Identity", "StopGradient", "PreventGradient"}  # one input, one output, the same value
READS = {"ReadVariableOp", "VariableShape", "VarIsInitializedOp"}
READS |= {"ResourceGather", "ResourceGatherNd"}
CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
COLLECTIVES = {"CollectiveReduceV2", "CollectiveAllToAllV2", "CollectiveGatherV2"}  # of devices
LATER = (0, 10, 100, 1_000, 10_000, 100_000)  # updates
PYTHON = {"PyFunc", "EagerPyFunc", "PyFuncStateless"}


def digest(*parts: Any) -> str:
    """Return 20 hexadecimal digits for plain values."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


# What is computed


def computed(graph: tf.Graph, owned: dict[str, Any]) -> str:
    """Return the print of a traced function: the same wherever the same is computed.

    Each operation is hashed with its attributes and the hashes of its inputs, so neither names
    nor operations that nothing uses count. A variable goes by its name in the run, and by how
    often it was written before. One that is only read, and a captured tensor, go by their values.

    Args:
        graph: of a concrete function, `tf.function(f).get_concrete_function(...).graph`.
        owned: {name in the run: variable of Keras or TensorFlow}.

    Raises:
        ValueError: the function writes a variable that is not owned, calls Python while it
            runs, or uses something that cannot be compared.
    """
    names = {
        id(copy.handle): name if i == 0 else f"{name} on device {i}"
        for name, variable in owned.items()
        for i, copy in enumerate(device.copies(variable))
    }
    every = [copy for variable in graph.variables for copy in device.copies(variable)]
    variables = {id(copy.handle): copy for copy in every}
    walk = _Walk()
    given = {}
    for outer, inner in graph.captures:
        if id(outer) in names:
            given[inner.ref()] = digest("owned", names[id(outer)])
        elif all(op.type in COLLECTIVES for op in inner.consumers()):
            given[inner.ref()] = digest("the order of collectives")
        else:
            given[inner.ref()] = _by_value(outer, variables.get(id(outer)), walk)
    free = [tensor for tensor in graph.inputs if tensor.ref() not in given]
    given |= {tensor.ref(): digest("input", i) for i, tensor in enumerate(free)}
    outputs = walk.through(graph, [given[tensor.ref()] for tensor in graph.inputs])
    lost = [walk.foreign[found] for found in walk.writes if found in walk.foreign]
    if lost:
        raise ValueError(
            f"train_step changes `{lost[0]}`, which this Trainer does not have, so it would not "
            "be saved. If you ran the cell of a network again, run all cells below it again "
            "too; else pass what owns it to Trainer by name."
        )
    return digest(sorted(walk.effects), outputs)


def _by_value(tensor: tf.Tensor, variable: tf.Variable | None, walk: _Walk) -> str:
    """Hash a captured tensor, or a variable of others, by what it holds."""
    if variable is None and tensor.dtype in (tf.resource, tf.variant):
        raise ValueError(
            "train_step uses a table or another object of TensorFlow's that cannot be compared "
            "between runs. Use a constant and tf.gather instead."
        )
    value = np.asarray(tensor if variable is None else variable.value())
    found = digest("value", _array(value))
    if variable is not None:
        walk.foreign[found] = getattr(variable, "name", "a variable").split(":")[0]
    return found


def _array(value: np.ndarray) -> tuple:
    value = np.ascontiguousarray(value)
    data = repr(value.tolist()).encode() if value.dtype == object else value.tobytes()
    return str(value.dtype), value.shape, hashlib.sha256(data).hexdigest()


@dataclass
class _Walk:
    """A walk through a graph and the functions that it calls, in the order of the program.

    Attributes:
        writes: {hash of a resource: how often it was written}.
        effects: hashes of the operations that wrote.
        foreign: {hash of a variable that the run does not own: its name}.
    """

    writes: dict[str, int] = field(default_factory=dict)
    effects: list[str] = field(default_factory=list)
    foreign: dict[str, str] = field(default_factory=dict)

    def through(self, graph: tf.Graph, given: Sequence[str]) -> list[str]:
        """Hash all operations; `given` holds the hashes of the inputs. Returns the outputs'."""
        hashes = {tensor.ref(): one for tensor, one in zip(graph.inputs, given, strict=True)}
        for op in graph.get_operations():
            inputs = [hashes[tensor.ref()] for tensor in op.inputs]
            if op.type == "Placeholder":
                found = [hashes.get(op.outputs[0].ref(), digest("nothing"))]
            elif op.type in PASS_ON:
                found = inputs[:1]
            elif op.type in COLLECTIVES:  # its other inputs are numbered anew at each trace
                found = [digest("collective", inputs[0])]
            elif op.type in CALLS:  # what it calls might as well stand here
                found = self.through(_function(graph, op.get_attr("f").name), inputs)
            else:
                found = self.operation(op, inputs)
            for tensor, one in zip(op.outputs, found, strict=False):
                hashes[tensor.ref()] = one
        return [hashes[tensor.ref()] for tensor in graph.outputs]

    def operation(self, op: tf.Operation, inputs: list[str]) -> list[str]:
        """Hash one operation; note what it writes."""
        if {"seed", "seed2"} <= set(op.node_def.attr):  # the mark of a generator of its own
            raise ValueError(
                "train_step draws random numbers that could not go on after an interrupt, for "
                "instance with tf.random.normal or tf.nn.dropout. Draw from a generator that "
                "Trainer has (rng = device.generator(SEED), rng.normal), or use Keras' layers."
            )
        if op.type in PYTHON:
            raise ValueError(
                "train_step calls Python while it runs (tf.py_function or tf.numpy_function), "
                "which cannot be compared between runs. Use TensorFlow's own functions."
            )
        resources = [inputs[i] for i, t in enumerate(op.inputs) if t.dtype == tf.resource]
        before = [self.writes.get(resource, 0) for resource in resources]
        attributes, written = [], set()
        for key in sorted(set(op.node_def.attr) - NOTES):
            value = op.node_def.attr[key]
            if not key.startswith("_") and value.WhichOneof("value") != "shape":
                attributes.append((key, self.attribute(op, value, inputs, written)))
        has_functions = any(_functions(op.node_def.attr[key]) for key in op.node_def.attr)
        found = digest(op.type, attributes, inputs, before)
        if resources and op.type not in READS and not has_functions:
            written = set(resources)
        for resource in written:
            self.writes[resource] = self.writes.get(resource, 0) + 1
        if written:
            self.effects.append(found)
        return [digest(found, i) for i in range(len(op.outputs))]

    def attribute(self, op: tf.Operation, value: Any, inputs: list[str], written: set[str]) -> Any:
        """Return what an attribute decides: tensors by value, functions by what they compute."""
        if value.WhichOneof("value") == "tensor":
            return _array(tf.make_ndarray(value.tensor))
        names = _functions(value)
        if not names:
            return "" if value.list.shape else value.SerializeToString(deterministic=True).hex()
        return [self.branch(_function(op.graph, name), inputs, written) for name in names]

    def branch(self, inner: tf.Graph, inputs: list[str], written: set[str]) -> str:
        """Hash a function that may run, or run often: as `cond`, `while` and `map` have them."""
        arguments = inputs[len(inputs) - len(inner.inputs) :]  # without what decides
        named = [
            argument if tensor.dtype == tf.resource else digest("argument", i)
            for i, (argument, tensor) in enumerate(zip(arguments, inner.inputs, strict=True))
        ]
        own = _Walk(dict(self.writes), [], self.foreign)
        outputs = own.through(inner, named)
        written |= {key for key, n in own.writes.items() if n != self.writes.get(key, 0)}
        return digest(sorted(own.effects), outputs)


def _functions(value: Any) -> list[str]:
    """Return the names of the functions in an attribute."""
    one = [value.func.name] if value.WhichOneof("value") == "func" else []
    return one + [function.name for function in value.list.func]


def _function(graph: tf.Graph, name: str) -> tf.Graph:
    while graph is not None:
        found = graph._get_function(name)
        if found is not None:
            return found.graph
        graph = getattr(graph, "outer_graph", None)
    raise ValueError(f"train_step calls {name}, which cannot be looked into.")


# The start


def start(values: dict[str, np.ndarray]) -> dict[str, list]:
    """Describe the values that a run begins with, so that they can be compared.

    Numbers with a fraction are rounded to half precision, as records are, and become their norm
    and one fixed random projection; a single one stays as it is; others become a checksum.

    Args:
        values: {name of a variable: its value}.
    """
    found = {}
    for name, value in values.items():
        if value.dtype.kind != "f":
            found[name] = [_array(value)[2][:20]]
        elif value.ndim == 0:
            found[name] = [float(value)]
        else:
            found[name] = projected(value.astype("float16"))
    return found


def projected(value: np.ndarray) -> list[float]:
    """Return the norm of an array of floats, and one fixed random projection."""
    flat = value.astype("float64").ravel()
    return [float(np.linalg.norm(flat)), float(_direction(flat.size) @ flat)]


@functools.lru_cache(maxsize=8)  # layers of one network are of few sizes
def _direction(size: int) -> np.ndarray:
    return np.random.default_rng(size).standard_normal(size, dtype="float32")


def unlike(a: dict[str, list], b: dict[str, list]) -> list[str]:
    """Name the variables that differ between two descriptions, or are in one of them only."""
    names = a.keys() | b.keys()
    return sorted(name for name in names if not _alike(a.get(name, []), b.get(name, [])))


def _alike(a: list, b: list, size: float = 0.0, tolerance: float = TOLERANCE) -> bool:
    """Compare numbers on a scale, by default their own; checksums must be equal."""
    if len(a) != len(b) or isinstance(a[0], str):
        return a == b
    size = size or max(abs(a[0]), abs(b[0]))  # a norm, and for a projection the deviation it has
    return all(abs(x - y) <= tolerance * size for x, y in zip(a, b, strict=True))


# The first update: a second opinion, where versions and prints both differ


def same_update(a: dict[str, list], b: dict[str, list]) -> bool:
    """Tell whether two first updates did the same, up to rounding.

    Args:
        a, b: of `first_update`. Moments are compared on the scale of the largest of their
            optimizer, and roughly: Adam's first update is as large where a gradient is zero but
            for rounding, so G's gradients differ by up to 0.6 % from processor to processor.
    """
    kinds = {name: name.rsplit("/", 1)[0] for name in a}
    scales = dict.fromkeys(kinds.values(), 0.0)
    for name, kind in kinds.items():
        scales[kind] = max(scales[kind], abs(a[name][0]))
    tolerances = dict.fromkeys(scales, MOMENTS) | dict.fromkeys(EXACT, TOLERANCE)
    for name, kind in kinds.items():
        if not _alike(a[name], b.get(name, []), scales[kind], tolerances[kind]):
            return False
    return a.keys() == b.keys()


def first_update(step: Callable, batch: Any, parts: dict[str, Any]) -> dict[str, list]:
    """Do an update, op by op, and return what `same_update` compares.

    These are the results; of each optimizer the first moments, `projected`, and the learning rate
    at some later updates, which the first one does not show.

    Args:
        step: takes the batch, returns {name: scalar}.
        batch: of the data set.
        parts: of the run; the first moments of Adam's among them are looked at.
    """
    found = {f"results/{name}": [float(value)] for name, value in step(batch).items()}
    for name, part in parts.items():
        if isinstance(part, keras.optimizers.Optimizer):
            moments = [v for v in part.variables if v.path.endswith("momentum")]
            for i, moment in enumerate(moments):
                found[f"{name}/{i:03d}"] = projected(device.host(moment))
            found[f"rates/{name}"] = [_rate(part, n) for n in LATER]
    return found


def _rate(optimizer: keras.optimizers.Optimizer, updates: int) -> float:
    optimizer.iterations.assign(updates)
    return float(optimizer.learning_rate)


# In what two runs differ


def identity(
    constants: dict[str, Any], data: dict[str, Any], xla: bool, start: dict[str, list], print_: str
) -> dict[str, Any]:
    """Put together what a run is known by, in plain values as JSON has them.

    Args:
        constants: of the lesson; NOT_COUNTED are left out.
        data: `identity()` of the data set.
        xla: is the step compiled by it?
        start: of `start`.
        print_: of `computed`.
    """
    machine = {
        "precision": device.training_precision(),
        "XLA": xla,
        "replicas": device.replicas(),
    }
    found = {
        "form": FORM,
        "constants": {name: v for name, v in constants.items() if name not in NOT_COUNTED},
        "data": data,
        "machine": machine,
        "versions": runtime.versions(),
        "start": start,
        "computed": print_,
    }
    return json.loads(json.dumps(found))


def differences(a: dict[str, Any], b: dict[str, Any], machines: bool = True) -> list[str]:
    """Name in what run b differs from run a, for instance "BATCH_SIZE 64 → 128".

    Args:
        a, b: identities: {"constants", "data", "machine": {name: value}, "computed": print,
            "start": of `start`}.
        machines: False if it does not matter on what machine, and how compiled, they run.
    """
    if a.get("form") != b.get("form"):
        return ["another version of utils wrote it"]
    found = _changes(a["constants"], b["constants"]) + _changes(a["data"], b["data"], "the data's ")
    if machines:
        found += _changes(a["machine"], b["machine"])
    parts = sorted({name.split("/")[0] for name in unlike(a["start"], b["start"])})
    if parts:
        found.append(f"the values that {', '.join(parts)} begin with")
    if a["computed"] != b["computed"]:
        found.append(COMPUTES)
    return found


def _changes(a: dict[str, Any], b: dict[str, Any], whose: str = "") -> list[str]:
    found = []
    for key in sorted(a.keys() | b.keys()):
        x, y = a.get(key), b.get(key)
        short = all(len(str(value)) <= 30 for value in (x, y))
        if x != y:
            found.append(f"{whose}{key} {x} → {y}" if short else f"{whose}{key}")
    return found
