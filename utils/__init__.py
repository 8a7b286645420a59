"""What every lesson shares, so that a lesson holds only its idea.

On the ground:
    runtime      seeds, preset, precision, device; the options read from the environment
    fetch        download and check files
    images       from network values to pictures: grid, show, save_gif
    layers       what two or more lessons build their networks with
    steps        training steps that two or more lessons use
Above:
    datasets     one function per data set: float32 NHWC batches in [-1, 1]
    checkpoints  the folder of a run: fingerprint, rounds, resume, the record of a finished run
    monitor      the live panel
    training     Trainer: `fit` over a plain training step
Beside them, `python -m utils` is the command line behind the Makefile.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
