"""What every lesson shares, so that a lesson holds only its idea.

On the ground:
    options      what is read from the environment
    runtime      seeds, preset, precision, device
    fingerprint  what decides the result of a run
    sources      DATA_DIR, cache, download, or a stand-in; checked files
    photographs  what lies in a folder or an archive, decoded once
    images       from network values to pictures: grid, show, save_gif
    layers       what two or more lessons build their networks with
    steps        training steps that two or more lessons use
    metrics      how good samples are, beside the floor; the digit classifier
    features     networks trained on ImageNet, to compare photographs in
    toy          a game in the plane whose best discriminator is known
Above:
    datasets     order from (seed, step), a replica's part, labels; mnist, folder
    topics/      pairs (horses and zebras, translations), superresolution (crops, protocol)
    checkpoints  the folder of a run: rounds, resume, the record of a finished run
    monitor      the live panel, curves, the health of a run
    loop         what Keras' `fit` runs: the compiled step, the ends of rounds
    training     Trainer: `fit` over a plain training step
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# Not "2": TensorFlow logs as errors what its graph optimizer merely could not make faster.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
