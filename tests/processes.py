"""Processes of their own that need not import TensorFlow: forked from one that has."""

import multiprocessing
import os

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.toy", "tests.train_page"])


def start(function, *arguments, **environment):
    """Call a function in a new process, silent, with this environment and these options."""
    process = FORKS.Process(target=_call, args=(os.environ | environment, function, arguments))
    process.start()
    return process


def _call(environment, function, arguments):
    os.environ.clear()
    os.environ.update(environment)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in 1, 2:
        os.dup2(nowhere, stream)
    function(*arguments)
