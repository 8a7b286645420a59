"""What every lesson shares, so that a lesson holds only its idea.

A file imports only files that stand above it:
    options      what is read from the environment
    device       which devices, in what precision, and how several share a batch
    workers      several machines: what TF_CONFIG says, what workers tell each other
    runtime      seeds, preset, constants, versions: what a page begins with
    images       from network values to pictures: grid, frame, show, save_gif
    tables       tables of results, in a notebook and in a terminal
    sources      where files come from: DATA_DIR, cache, download; else a stand-in
    archives     which images lie in a folder or an archive
    photographs  pictures of any size, decoded once, in flat memory
    datasets     batches whose order depends on (seed, step); MNIST, a folder of yours
    metrics      distances between sets of features, without TensorFlow
    evaluation   how good samples are, beside the floor; the classifier of digits
    layers       what several lessons build their networks with
    steps        training steps and a learning rate that several lessons use
    fingerprint  what a run computes, from which start, and in what two runs differ
    state        all variables of a run, their averages, and what they began with
    run          a run's folder: lock, rounds, frames, history
    record       finished runs of the project, opened instead of trained
    callbacks    which Keras callbacks a training takes
    checks       what a training is given, and what is returned to it
    panel        the live panel, curves, the health of a run
    training     Trainer: the loop

In topics/ lies what only a few lessons need; a topic, a file or a folder,
imports the files above, no other topic:
    plane            a game whose best discriminator is known: lessons 01 and 04
    ring             eight Gaussians, and how many a generator finds: lesson 04
    critics          two discs of points, and networks that tell them apart: lesson 05
    classes          samples that were asked for by class, measured: lesson 06
    pairs            two kinds of photographs without pairs: lesson 07
    translations     photographs that become another kind, measured: lesson 07
    cyclegan         layers and image pool of CycleGAN: lessons 07 and 08
    superresolution  photographs, crops to train on, the protocol of measuring: lesson 09
    enlarging        photographs of any size through a network; their spectrum: lesson 09
    upscaling        layers that make images larger: lesson 09
    convolution      the last layer of networks that make photographs: 07 and 09
    features         networks trained on ImageNet, to compare photographs in: 07 and 09
    growing          images of growing size, and how to measure them: lesson 10
    faces            faces with labels, drawn ones, and their judges: lessons 08, 10 and 11
    export           a network as files for other programs: 07 and 09
"""

import os
import sys

if hasattr(sys.stdout, "reconfigure"):  # a letter that a terminal lacks must end no training
    sys.stdout.reconfigure(errors="replace")

if (backend := os.environ.get("KERAS_BACKEND")) not in (None, "", "tensorflow"):
    print(f"KERAS_BACKEND={backend!r} is ignored: the lessons run on TensorFlow.")
os.environ["KERAS_BACKEND"] = "tensorflow"
# Not "2": TensorFlow logs as errors what its graph optimizer merely could not make faster.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
