"""Training steps, and the learning rate, that two or more lessons use."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from utils import device


def gan_step(
    generator: keras.Model,
    discriminator: keras.Model,
    g_optimizer: keras.optimizers.Optimizer,
    d_optimizer: keras.optimizers.Optimizer,
    generator_loss: Callable[[tf.Tensor], tf.Tensor],
    discriminator_loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    rng: tf.random.Generator,
    batch_size: int,
    latent_dim: int,
    g_updates: int = 1,
    probability: Callable[[tf.Tensor], tf.Tensor] = tf.sigmoid,
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Make the step of lesson 02: an update of D, then of G (Goodfellow et al. 2014, alg. 1).

    Real and fake images pass D in batches of their own, as its batch normalisation wants,
    and each update of G draws a fresh z.

    Args:
        generator: (batch, latent_dim) -> images in [-1, 1].
        discriminator: images -> (batch, 1) logits.
        g_optimizer: built over the generator's trainable variables.
        d_optimizer: built over the discriminator's trainable variables.
        generator_loss: fake_logits -> scalar.
        discriminator_loss: (real_logits, fake_logits) -> scalar.
        rng: draws z from N(0, 1) for the whole batch (`device.generator`).
        batch_size: images a batch.
        latent_dim: length of z.
        g_updates: updates of G for one of D.
        probability: turns logits into the D(x) that is reported.

    Returns:
        A function from real images, float32 (batch_size, height, width, channels) in
        [-1, 1], to {"d_loss", "g_loss", "d_real", "d_fake"}: scalars.
    """

    def train_step(real: tf.Tensor):
        z = device.part(rng.normal((batch_size, latent_dim)))
        fake = generator(z, training=True)
        with tf.GradientTape() as d_tape:
            real_logits = discriminator(real, training=True)
            fake_logits = discriminator(fake, training=True)
            d_loss = discriminator_loss(real_logits, fake_logits)
        gradients = d_tape.gradient(d_loss, discriminator.trainable_variables)
        d_optimizer.apply(gradients, discriminator.trainable_variables)
        d_real = tf.reduce_mean(probability(real_logits))
        d_fake = tf.reduce_mean(probability(fake_logits))

        for _ in range(g_updates):
            z = device.part(rng.normal((batch_size, latent_dim)))
            with tf.GradientTape() as g_tape:
                fake = generator(z, training=True)
                g_loss = generator_loss(discriminator(fake, training=True))
            gradients = g_tape.gradient(g_loss, generator.trainable_variables)
            g_optimizer.apply(gradients, generator.trainable_variables)
        return {"d_loss": d_loss, "g_loss": g_loss, "d_real": d_real, "d_fake": d_fake}

    return train_step


def gradient_penalty(
    critic: Callable[..., tf.Tensor], real: tf.Tensor, fake: tf.Tensor, alpha: tf.Tensor
) -> tf.Tensor:
    """Return how far a critic's slopes are from 1, as in lesson 05 (Gulrajani et al. 2017, eq. 3).

    Args:
        critic: images -> (n, 1) or (n,), called with training=True.
        real, fake: images, (n, height, width, channels).
        alpha: from 0 to 1, (n, 1, 1, 1): where between fake (0) and real (1) each slope is taken.

    Returns:
        The mean of (slope - 1)², a scalar, to be multiplied by the weight λ of the lesson.
    """
    between = fake + alpha * (real - fake)
    with tf.GradientTape() as tape:
        tape.watch(between)
        answers = critic(between, training=True)
    squares = tf.square(tape.gradient(answers, between))
    slopes = tf.sqrt(tf.reduce_sum(squares, axis=[1, 2, 3]) + 1e-12)  # finite slope at 0
    return tf.reduce_mean(tf.square(slopes - 1.0))


@keras.saving.register_keras_serializable("lessons")
class ConstantThenLinear(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that is constant at first, then falls on a line to 0 at the end.

    Zhu et al. 2017, section 4. It follows the optimizer's own count, so it survives a resume.

    Args:
        rate: of the first part.
        steps: updates of the whole training; after them the rate is 0.
        constant: which part of the updates is the first, from 0 to below 1.
    """

    def __init__(self, rate: float, steps: int, constant: float = 0.5) -> None:
        self.rate = rate
        self.steps = steps
        self.constant = constant

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        slope = 1 / (1 - self.constant)
        left = slope - slope * tf.cast(step, tf.float32) / self.steps
        return self.rate * tf.clip_by_value(left, 0.0, 1.0)

    def get_config(self) -> dict[str, float]:
        return {"rate": self.rate, "steps": self.steps, "constant": self.constant}
