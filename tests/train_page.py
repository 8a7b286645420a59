"""Trains what a page trains: at `smoke` but for more rounds, or its step alone for 50 updates."""

import dataclasses
import functools
import json
import os

import imageio.v3 as iio
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from tests import toy
from tools import pages
from utils import datasets, device, training
from utils.topics import superresolution

ROUNDS = {"09_srgan": ("MSE_ROUNDS", "GAN_ROUNDS")}
LAST = {"09_srgan": "second.fit("}  # in the cell of the last training


def state_of(trainer):
    """Return all that a training leaves, but for seconds."""
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in trainer.history]
    found = trainer.state.values()
    found |= {f"frame/{i}": iio.imread(path) for i, path in enumerate(trainer.frames)}
    found["history"] = np.array(json.dumps(rows))
    return {f"{trainer.lesson}/{k}": v for k, v in found.items()}


def train(lesson, rounds, output, file):
    """Execute the page's cells until its trainings are done."""
    os.environ["OUTPUT_DIR"] = output
    plt.switch_backend("agg")
    page, state = pages.Page(lesson), {}
    stages = {8: rounds, 16: rounds}
    value = stages if lesson == "10_pggan" else rounds
    page.set(**dict.fromkeys(ROUNDS.get(lesson, ("ROUNDS",)), value))
    names = page.execute({}, until=[LAST.get(lesson, "trainer.fit(")])
    of_stages = [stage.trainer for stage in names.get("stages", ())]
    for found in [*names.values(), *of_stages]:
        if isinstance(found, training.Trainer):
            state |= state_of(found)
    assert state, f"{lesson} keeps no Trainer in a name"
    np.savez(file, **state)


SMALL = {  # the pages' own steps, without noise and Dropout, in small batches
    "01_gan": {"BATCH_SIZE": 16, "DROPOUT": 0.0, "DROPOUT_IN": 0.0},
    "02_dcgan": {"BATCH_SIZE": 8, "NOISE": 0.0},
    "04_lsgan": {"BATCH_SIZE": 8, "NOISE": 0.0},
    "05_wgan_gp": {"BATCH_SIZE": 4, "N_CRITIC": 3},
    "06_cgan": {"BATCH_SIZE": 8, "NOISE": 0.0},
    "08_stargan": {"BATCH_SIZE": 4, "N_CRITIC": 2, "WIDTH": 4, "BLOCKS": 1, "LEARNING_RATE": 1e-3},
    "09_srgan": {},
    "10_pggan": {"BATCH_SIZE": 8, "few": {4: 8, 8: 4}, "STEPS_PER_ROUND": 25},
}


class InFloat64:
    """Draws the numbers of a generator, as what is computed with them wants them."""

    def __init__(self, rng):
        self.rng = rng

    def normal(self, shape):
        return tf.cast(self.rng.normal(shape), tf.float64)

    def uniform(self, shape, maxval=1, dtype=tf.float32):
        drawn = self.rng.uniform(shape, maxval=maxval, dtype=dtype)
        return tf.cast(drawn, tf.float64) if dtype.is_floating else drawn


def page_trainer(lesson, dataset, seed=1):
    """Return a Trainer of a page's own networks and step."""
    page = pages.Page(lesson)
    page.set(**SMALL[lesson])
    rng = device.generator(seed)
    given = {"dataset": dataset, "rng": InFloat64(rng)}
    if lesson == "08_stargan":  # whose own layer computes in float32 only
        page.change("from utils.topics.cyclegan import InstanceNorm\n", "")
        same = functools.partial(keras.layers.GroupNormalization, groups=-1, epsilon=1e-5)
        given["InstanceNorm"] = same
    if lesson == "10_pggan":
        return stage_trainer(page)
    found = page.definitions(*pages.PARTS, "critic", "train_step", **given)
    parts = {name: getattr(found, name, None) for name in pages.PARTS} | {"rng": rng}
    parts["discriminator"] = parts["discriminator"] or found.critic
    average = {"generator": 0.999}
    step = found.train_step
    if lesson in ("05_wgan_gp", "08_stargan"):  # the penalty mixes real images and fakes
        in_64 = lambda x: tf.cast(x, tf.float64)  # noqa: E731
        step = lambda batch: found.train_step(tf.nest.map_structure(in_64, batch))  # noqa: E731
    return training.Trainer(lesson, step, {"SEED": seed}, average, **parts)


def stage_trainer(page):
    """Return a Trainer of lesson 10's second stage, which fades in for the first half."""
    found = page.definitions("train_step", "stage_of", "trainer_of")
    stage = found.stage_of(8, 2, found.stage_of(4, 2))
    stage.rng = InFloat64(stage.rng)
    original = found.train_step
    found.train_step = lambda stage, batch: original(stage, tf.cast(batch, tf.float64))
    return found.trainer_of(stage)


def data_of(lesson):
    if lesson == "09_srgan":
        return superresolution.crops(48, 4, seed=1)[0]
    batch = SMALL[lesson]["BATCH_SIZE"] * SMALL[lesson].get("N_CRITIC", 1)
    if lesson == "08_stargan":
        return toy.faces(batch)
    if lesson == "10_pggan":
        return dataclasses.replace(toy.faces(batch, size=16), with_labels=False)
    return datasets.mnist(batch, seed=1, labels=lesson == "06_cgan")


def fifty_updates(lesson):
    """Return the Trainer after 50 updates, in Keras' float type."""
    data = data_of(lesson)
    trainer = page_trainer(lesson, data)
    trainer.fit(data, 2, 25, lambda: np.zeros((1, 28, 28, 1)))
    return trainer
