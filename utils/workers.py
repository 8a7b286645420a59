"""Several machines: what TF_CONFIG says, and what workers tell each other.

TensorFlow does the work (tf.distribute.MultiWorkerMirroredStrategy): each process, a worker,
computes its part of every batch, and all have the same weights. The first one, the chief, writes
the files and prints. All read them, in a folder that all machines share.
"""

from __future__ import annotations

import functools
import json
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

from utils import device
from utils.options import Cluster, cluster


def join(facts: dict[str, Any]) -> bool:
    """Take part in the training of several workers, where TF_CONFIG names some.

    Waits for the others. What is built from here on is the same for all.

    Args:
        facts: what must be the same for all workers, in JSON's values.

    Returns:
        Whether there are several.

    Raises:
        RuntimeError: TensorFlow has already computed something in this process.
        ValueError: TF_CONFIG is wrong, the port is taken, or the workers' facts differ.
    """
    found = cluster()
    if found is None:
        return False
    tf.distribute.experimental_set_strategy(_strategy(found))
    if found.number:
        print("All workers are there. Worker 0 prints and writes files.")
    agree("environment", facts)
    return True


@functools.cache  # TensorFlow can join once in a process
def _strategy(found: Cluster) -> tf.distribute.Strategy:
    _check_addresses(found)
    _meet(found)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise RuntimeError(
            "TF_CONFIG is set, but TensorFlow has already computed something in this kernel. "
            f"Restart the kernel, and run runtime.start first. ({error})"
        ) from None


def _check_addresses(found: Cluster) -> None:
    """Look whether this machine knows the others' names; it would wait for them."""
    for address in found.addresses:
        host, port = _split(address)
        try:
            socket.getaddrinfo(host, port)
        except OSError as error:
            raise ValueError(
                f"TF_CONFIG names {host}, which this machine cannot find ({error.strerror}). Set "
                "the addresses of the workers as all of them can reach them."
            ) from None


def _split(address: str) -> tuple[str, int]:
    host, port = address.rsplit(":", 1)
    return host, int(port)


def _meet(found: Cluster) -> None:
    """Wait until all workers are there.

    TensorFlow would wait, too, but without a word, and no interrupt would end it. Each worker
    listens at its port and calls the others, until it has reached all and all have called.
    """
    others = set(range(len(found.addresses))) - {found.number}
    names = ", ".join(found.addresses[number] for number in sorted(others))
    with _listening(found) as own:
        print(f"Worker {found.number} of {len(found.addresses)} waits for {names}.", flush=True)
        reached, callers = set(), set()
        while others - (reached & callers):
            reached |= {number for number in others - reached if _call(found, number)}
            callers |= _caller(own)


def _listening(found: Cluster) -> socket.socket:
    """Listen at this worker's port."""
    own = found.addresses[found.number]
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.settimeout(0.2)  # seconds that `accept` waits
    try:
        made.bind(("", _split(own)[1]))
    except OSError as error:
        made.close()
        raise ValueError(
            f"Worker {found.number} cannot listen at {own} ({error.strerror}): perhaps it "
            "runs already. Stop what uses the port, or take another one in TF_CONFIG."
        ) from None
    made.listen()
    return made


def _call(found: Cluster, number: int) -> bool:
    """Tell another worker one's number; return whether it listens."""
    with suppress(OSError), socket.create_connection(_split(found.addresses[number]), 1) as other:
        other.sendall(str(found.number).encode())
        return True
    return False


def _caller(own: socket.socket) -> set[int]:
    """Return the number of a worker that calls, none where nobody does."""
    with suppress(OSError, ValueError):
        connection, _ = own.accept()
        with connection:
            connection.settimeout(1)
            return {int(connection.recv(8))}
    return set()


# What workers tell each other. All of them must call these, in the same order.


def tell(text: str) -> list[str]:
    """Give a text to all workers, and return those of all, in their order; alone, one's own."""
    strategy = tf.distribute.get_strategy()
    if not device.several_workers():
        return [text]
    own = np.frombuffer(text.encode() or b" ", dtype=np.uint8).astype("int32")

    def gathered(values: np.ndarray) -> np.ndarray:
        return strategy.gather(strategy.run(lambda: tf.constant(values)), axis=0).numpy()

    each = strategy.num_replicas_in_sync // strategy.extended._num_workers
    ends = np.cumsum(gathered(np.array([len(own)], "int32")))
    parts = np.split(gathered(own), ends[:-1])[::each]
    return [part.astype(np.uint8).tobytes().decode().strip() for part in parts]


def agree(what: str, facts: dict[str, Any]) -> None:
    """Make sure that all workers have the same facts.

    Args:
        what: they are of; it is named.
        facts: in JSON's values.

    Raises:
        ValueError: they differ; it says who has what.
    """
    texts = tell(json.dumps(facts, sort_keys=True))
    for number, text in enumerate(texts):
        if text != texts[0]:
            first, other = json.loads(texts[0]), json.loads(text)
            names = [k for k in {**first, **other} if first.get(k) != other.get(k)]
            shown = ", ".join(f"{k} {first.get(k)!r} and {other.get(k)!r}" for k in names)
            raise ValueError(
                f"Workers 0 and {number} have another {what}: {shown[:500]}. Give all workers "
                "the same project, page, data and options, then start all of them again."
            )


def by_chief(do: Callable[[], Any]) -> None:
    """Let the chief alone do something to files. All go on when it is done.

    Raises:
        OSError: it failed; all workers raise it.
    """
    failed = None
    if device.is_chief():
        try:
            do()
        except OSError as error:
            failed = error
    told = tell(str(failed or ""))[0]
    if told:
        failed = failed or OSError(told)
        failed.known_to_all = True
        raise failed


def check_shared(folder: Path) -> None:
    """Make sure that what the chief writes in a folder is seen by all workers.

    Raises:
        OSError: it is not; all workers raise it.
    """
    if not device.several_workers():
        return
    file = folder / ".workers"
    token = tell(secrets.token_hex(8))[0]
    by_chief(lambda: file.write_text(token, encoding="utf-8"))
    with suppress(OSError):
        token = token if file.read_text(encoding="utf-8") == token else ""
    seen = tell(token if file.exists() else "")
    if "" in seen:
        raise OSError(
            f"Worker {seen.index('')} does not see what worker 0 writes in {folder}. Set "
            "OUTPUT_DIR to a folder that all workers share."
        )


@contextmanager
def reporting() -> Iterator[None]:
    """Tell the others why this worker ends, where they cannot know: they would wait for it."""
    try:
        yield
    except BaseException as error:
        known = isinstance(error, FloatingPointError) or hasattr(error, "known_to_all")
        if device.several_workers() and not known:
            words = "it was interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
            with suppress(Exception):  # where the others have ended before
                context.context().report_error_to_cluster(1, words[:500])
        raise


def ended(error: tf.errors.OpError) -> str:
    """Return why another worker has ended the training, "" where the error has another cause."""
    if not device.several_workers() or "ollective" not in str(error):
        return ""
    words = error.message.partition("Collective ops is aborted by:")[2].strip().splitlines()
    told = words[0].partition("Error reported from ")[2] if words else ""
    return told or "it does not answer"
