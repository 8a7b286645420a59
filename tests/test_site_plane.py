"""The game in the plane, in the page: its JavaScript computes what Keras and utils.topics do."""

import json
import shutil
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tools import pages
from utils import steps
from utils.options import ROOT
from utils.topics import critics, plane, ring

SOURCES = ROOT / "docs" / "_static" / "gan"
NODE = shutil.which("node")
in_node = pytest.mark.skipif(not NODE, reason="there is no Node: apt install nodejs")
BEGIN = """
import { readFileSync } from "node:fs";
import * as game from "./plane-game.js";
import * as losses from "./plane-losses.js";
import * as networks from "./plane-network.js";
import * as random from "./plane-random.js";
import * as theory from "./plane-theory.js";
const given = JSON.parse(readFileSync(0));
const asArray = (key, value) => (value instanceof Float64Array ? [...value] : value);
/** Put Keras' weights into a network, in place. */
const set = (layers, weights) => {
    networks.variables(layers).forEach((values, i) => values.set(weights[i].flat()));
};
"""
END = "\nconsole.log(JSON.stringify(found, asArray));\n"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """Return a function that runs a script after BEGIN, and returns what it leaves in `found`."""
    folder = tmp_path_factory.mktemp("gan")
    for file in (*SOURCES.glob("plane*.js"), SOURCES / "random.js"):
        shutil.copy(file, folder)
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")

    def run(script, **given):
        file = folder / "test.js"
        file.write_text(BEGIN + script + END, encoding="utf-8")
        lists = json.dumps(given, default=lambda array: np.asarray(array).tolist())
        done = subprocess.run([NODE, file], input=lists, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def flat(weights):
    return np.concatenate([np.ravel(array) for array in weights])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def losses_of(name):
    """Return the losses of G and D as they stand in the page of a lesson."""
    lesson = {"cross-entropy": "01_gan", "least-squares": "04_lsgan"}.get(name, "05_wgan_gp")
    judge = "critic_loss" if lesson == "05_wgan_gp" else "discriminator_loss"
    page = pages.Page(lesson).definitions("generator_loss", judge)
    return page.generator_loss, getattr(page, judge)


# Four updates of D before each of G, with random numbers that are handed in.
PLAY = """
const played = game.newGame({ points: given.points, loss: given.loss, seed: 1 });
set(played.generator, given.generator);
set(played.discriminator, given.discriminator);
const found = { dLoss: [], gLoss: [] };
given.draws.forEach(({ real, z, alpha, forGenerator }) => {
    const points = given.points === "gaussian" ? game.gaussianPoints(real.flat()) : real.flat();
    const args = [Float64Array.from(points), Float64Array.from(z.flat())];
    found.dLoss.push(game.updateDiscriminator(played, ...args, Float64Array.from(alpha)));
    if (!forGenerator) return;
    found.gLoss.push(game.updateGenerator(played, Float64Array.from(forGenerator.flat())));
});
found.generator = networks.variables(played.generator).map((values) => [...values]).flat();
found.discriminator = networks.variables(played.discriminator).map((values) => [...values]).flat();
"""


def draws(latent_dim, real, updates=20, batch=256):
    """Return what the updates of D, and of G after every fourth, are handed."""
    rng = np.random.default_rng(5)
    found = []
    for i in range(updates):
        z = rng.normal(size=(2, batch, latent_dim)).astype("float32")
        drawn = {"real": real(i), "z": z[0], "alpha": rng.uniform(size=batch).astype("float32")}
        found.append(drawn | {"forGenerator": z[1] if i % 4 == 3 else None})
    return found


@in_node
@pytest.mark.parametrize("name", ["cross-entropy", "least-squares"])
def test_the_game_is_that_of_utils(node, name):
    """With the same weights and points, after 20 updates of D and 5 of G."""
    given = draws(2, lambda i: numbers(256, 2, seed=100 + i))
    generator, discriminator = plane.networks(3)
    start = {
        "generator": generator.get_weights(),
        "discriminator": discriminator.get_weights(),
    }
    rate = keras.optimizers.schedules.CosineDecay(0.03, 14 * 16)  # as in plane.play
    adams = (
        keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.9),
        keras.optimizers.Adam(0.01, beta_1=0.5),
    )
    handed = []
    for draw in given:
        handed.append(np.stack([draw["real"], draw["z"]]))
        if draw["forGenerator"] is not None:
            handed.append(np.stack([draw["real"], draw["forGenerator"]]))
    both = losses_of(name)
    rng = ring.Drawn(tf.constant(np.stack(handed)))
    players = plane.Players(generator, discriminator, *adams, rng, *both, tf.sigmoid)
    for draw in given:
        plane._update_discriminator(players)
        if draw["forGenerator"] is not None:
            plane._update_generator(players)
    found = node(PLAY, points="gaussian", loss=name, draws=given, **start)
    close = {"rtol": 0, "atol": 1e-4}
    np.testing.assert_allclose(found["generator"], flat(generator.get_weights()), **close)
    np.testing.assert_allclose(found["discriminator"], flat(discriminator.get_weights()), **close)
    assert np.abs(flat(generator.get_weights()) - flat(start["generator"])).max() > 0.1


@pytest.fixture
def in_float64():
    """Let Keras build networks in double precision, as those of JavaScript are."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx(before)


@in_node
@pytest.mark.parametrize("name", ["clipping", "penalty"])
@pytest.mark.parametrize("points", ["gaussian", "ring"])
@pytest.mark.usefixtures("in_float64")
def test_a_critic_is_trained_as_keras_does(node, points, name):
    """With lesson 05's losses and penalty, TensorFlow's gradients and Keras' Adam."""
    page = pages.Page("05_wgan_gp").definitions("gradient_penalty", "LAMBDA_GP", "EPSILON")
    generator_loss, critic_loss = losses_of(name)
    if points == "gaussian":
        generator, critic = plane.networks(3)
        given = draws(2, lambda i: numbers(256, 2, seed=100 + i))
        root = np.linalg.cholesky(plane.COVARIANCE).T
        real = [draw["real"].astype("float64") @ root + plane.MEAN for draw in given]
        rate = keras.optimizers.schedules.CosineDecay(0.03, 14 * 16)
        adams = (
            keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.9),
            keras.optimizers.Adam(0.01, beta_1=0.0, beta_2=0.9),
        )
    else:
        generator, critic = ring.networks(3)
        given = draws(16, lambda i: ring.batch(3, tf.constant(i))[0].numpy(), updates=4)
        real = [draw["real"].astype("float64") for draw in given]
        adams = (
            keras.optimizers.Adam(1e-3, beta_1=0.5),
            keras.optimizers.Adam(1e-3, beta_1=0.0, beta_2=0.9),
        )
    start = {"generator": generator.get_weights(), "discriminator": critic.get_weights()}
    for draw, points_of_update in zip(given, real, strict=True):
        fake = generator(draw["z"].astype("float64"), training=True)
        with tf.GradientTape() as tape:
            loss = critic_loss(critic(points_of_update), critic(fake))
            if name == "penalty":
                alpha = draw["alpha"][:, None].astype("float64")
                loss += page.gradient_penalty(critic, points_of_update, fake, alpha)
        variables = critic.trainable_variables
        adams[1].apply(tape.gradient(loss, variables), variables)
        for variable in variables if name == "clipping" else ():
            variable.assign(tf.clip_by_value(variable, -0.1, 0.1))
        if draw["forGenerator"] is None:
            continue
        with tf.GradientTape() as tape:
            z = draw["forGenerator"].astype("float64")
            loss = generator_loss(critic(generator(z, training=True)))
        variables = generator.trainable_variables
        adams[0].apply(tape.gradient(loss, variables), variables)
    found = node(PLAY, points=points, loss=name, draws=given, **start)
    close = {"rtol": 0, "atol": 1e-4}
    np.testing.assert_allclose(found["discriminator"], flat(critic.get_weights()), **close)
    np.testing.assert_allclose(found["generator"], flat(generator.get_weights()), **close)


@in_node
@pytest.mark.parametrize("name", ["cross-entropy", "least-squares"])
@pytest.mark.usefixtures("in_float64")
def test_the_game_on_the_ring_is_that_of_lesson_04(node, name):
    """Four steps of `steps.gan_step`, with the points of `ring.batch`.

    Not more: Keras rounds Adam's 0.999 to single precision even here, and ReLU makes such a
    difference of 1e-8 a hundred times larger in five steps.
    """
    generator, discriminator = ring.networks(2)
    start = {"generator": generator.get_weights(), "discriminator": discriminator.get_weights()}
    adams = [keras.optimizers.Adam(1e-3, beta_1=0.5) for _ in range(2)]
    for adam, network in zip(adams, (generator, discriminator), strict=True):
        adam.build(network.trainable_variables)
    given = []
    for i in range(4):
        real, z = (tf.cast(x, "float64") for x in ring.batch(2, tf.constant(i)))
        drawn = ring.Drawn(z)
        trained = generator, discriminator, *adams, *losses_of(name)
        steps.gan_step(*trained, drawn, ring.BATCH, ring.LATENT_DIM)(real)
        given.append({"real": real, "z": z[0], "alpha": np.zeros(256), "forGenerator": z[1]})
    found = node(PLAY, points="ring", loss=name, draws=given, **start)
    close = {"rtol": 0, "atol": 1e-4}
    np.testing.assert_allclose(found["discriminator"], flat(discriminator.get_weights()), **close)
    np.testing.assert_allclose(found["generator"], flat(generator.get_weights()), **close)


@in_node
@pytest.mark.parametrize("name", ["cross-entropy", "least-squares", "clipping", "penalty"])
def test_losses_are_those_of_the_lessons(node, name):
    real, fake = numbers(50, 1, seed=1) * 4, numbers(50, 1, seed=2) * 4
    script = """
    const loss = losses.LOSSES[given.name];
    const [real, fake] = [given.real, given.fake].map((x) => Float64Array.from(x.flat()));
    const found = [loss.discriminator(real, fake), loss.generator(fake)];
    """
    of_d, of_g = node(script, name=name, real=real, fake=fake)
    generator_loss, judge_loss = losses_of(name)
    real, fake = tf.constant(real), tf.constant(fake)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([real, fake])
        expected_d, expected_g = judge_loss(real, fake), generator_loss(fake)
    assert of_d["loss"] == pytest.approx(float(expected_d), abs=1e-5)
    assert of_g["loss"] == pytest.approx(float(expected_g), abs=1e-5)
    expected = tape.gradient(expected_d, [real, fake])
    np.testing.assert_allclose(of_d["real"], np.ravel(expected[0]), atol=1e-6)
    np.testing.assert_allclose(of_d["fake"], np.ravel(expected[1]), atol=1e-6)
    np.testing.assert_allclose(of_g["fake"], np.ravel(tape.gradient(expected_g, fake)), atol=1e-6)


def gaussians():
    """Gaussians of fakes: at the start of lesson 01, two others, and the real one."""
    return [
        ([-1.5, -1.5], [[0.25, 0.0], [0.0, 0.25]]),
        ([-1.0, 0.3], [[0.5, -0.2], [-0.2, 0.9]]),
        ([1.2, 0.4], [[3.0, 1.0], [1.0, 2.0]]),
        (plane.MEAN, plane.COVARIANCE),
    ]


def as_triangle(covariance):
    (a, b), (_, d) = np.asarray(covariance)
    return [a, b, d]


@in_node
@pytest.mark.parametrize(("mean", "covariance"), gaussians())
def test_the_best_discriminator_is_that_of_utils(node, mean, covariance):
    points = numbers(200, 2) * 3
    fakes = {"mean": mean, "covariance": as_triangle(covariance)}
    script = "const found = given.points.map((x) => theory.optimalLogit(x, given.fakes));"
    found = np.array(node(script, points=points, fakes=fakes))
    expected = plane.optimal_logit(points.astype("float64"), mean, covariance)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(sigmoid(found), sigmoid(expected), atol=1e-6)


@in_node
@pytest.mark.parametrize(("mean", "covariance"), gaussians())
def test_the_value_and_the_best_losses_are_known(node, mean, covariance):
    """The value is that of utils; both are sums over small squares of the plane."""
    fakes = {"mean": mean, "covariance": as_triangle(covariance)}
    script = "const found = [theory.value(given.fakes), theory.leastSquare(given.fakes)];"
    value, least = node(script, fakes=fakes)
    assert value == pytest.approx(plane.value(np.array(mean), np.array(covariance)), abs=1e-6)
    side = np.arange(-12, 12, 0.03)
    squares = np.stack(np.meshgrid(side, side), axis=-1)
    p_r = np.exp(plane.log_density(squares, plane.MEAN, plane.COVARIANCE))
    p_g = np.exp(plane.log_density(squares, mean, covariance))
    best = sigmoid(plane.optimal_logit(squares, mean, covariance))
    expected = np.sum(p_r * (1 - best) ** 2 + p_g * best**2) / 2 * 0.03**2
    assert least == pytest.approx(expected, abs=1e-6)


@in_node
def test_moments_of_the_generator_are_those_of_utils(node):
    generator, _ = plane.networks(0)
    kernel = np.array([[0.5, -1.0], [2.0, 0.3]], "float32")
    generator.set_weights([kernel, np.array([1.0, -2.0], "float32")])
    mean, covariance = plane.gaussian(generator)
    script = "const found = theory.gaussianOf({ kernel: given.kernel, bias: [1, -2] });"
    found = node(script, kernel=kernel.ravel())
    np.testing.assert_allclose(found["mean"], mean)
    np.testing.assert_allclose(found["covariance"], as_triangle(covariance))


@in_node
@pytest.mark.parametrize("deviation", [0.02, 0.06, 0.5])
def test_modes_are_counted_as_in_utils(node, deviation):
    """Also near the edge of three standard deviations, and for modes with about 1 %."""
    rng = np.random.default_rng(4)
    shares = np.array([0.3, 0.2, 0.2, 0.1, 0.09, 0.09, 0.01, 0.01])
    centres = ring.CENTRES[rng.choice(8, 2500, p=shares)]
    angle = rng.uniform(0, 2 * np.pi, 2500)
    edge = 0.06 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for points in centres + deviation * rng.normal(size=(2500, 2)), centres + edge:
        points = points.astype("float32")
        modes, good = ring.count(points)
        found = node("const found = theory.count(given.points.flat());", points=points)
        assert found["modes"] == modes
        assert found["good"] == pytest.approx(good, abs=1e-12)


@in_node
@pytest.mark.parametrize("name", ["cross-entropy", "least-squares", "penalty"])
def test_the_pull_is_that_of_utils(node, name):
    """On a network of lesson 05, with three layers of 64 units."""
    _, fake = critics.discs(1.0, 40)
    network = critics.network(7)
    script = """
    const widths = [2, 64, 64, 64, 1];
    const discriminator = networks.network(widths, "relu");
    set(discriminator, given.weights);
    const played = { discriminator, loss: losses.LOSSES[given.name] };
    const found = game.pull(played, Float64Array.from(given.fake.flat()));
    """
    found = node(script, weights=network.get_weights(), name=name, fake=fake)
    expected = critics.pull(network, losses_of(name)[0], fake)
    np.testing.assert_allclose(np.reshape(found, (-1, 2)), expected, atol=1e-5)


@in_node
def test_random_numbers_are_even_and_normal_and_depend_on_the_seed(node):
    script = """
    const drawn = new random.Random(given.seed);
    const found = [Array.from({ length: 40000 }, () => drawn.uniform()), drawn.normal(40000)];
    """
    uniform, normal = (np.array(x) for x in node(script, seed=1))
    for found, name in (uniform, "uniform"), (normal, "norm"):
        assert stats.kstest(found, name).pvalue > 0.01
        assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 0.02
    assert node(script, seed=1)[1] == normal.tolist()
    assert abs(np.corrcoef(node(script, seed=2)[1], normal)[0, 1]) < 0.02


@in_node
@pytest.mark.parametrize("points", ["gaussian", "ring", "own"])
def test_real_points_are_where_they_should_be(node, points):
    script = """
    const drawn = new random.Random(3);
    const own = [[1, 2], [-1, 0]];
    const found = game.realPoints({ points: given.points, own }, 20000, drawn);
    """
    found = np.reshape(node(script, points=points), (-1, 2))
    if points == "gaussian":
        np.testing.assert_allclose(found.mean(0), plane.MEAN, atol=0.03)
        np.testing.assert_allclose(np.cov(found.T), plane.COVARIANCE, atol=0.03)
    elif points == "ring":
        modes, good = ring.count(found)
        assert modes == 8
        assert good > 0.98
    else:
        near = np.linalg.norm(found[:, None] - np.array([[1, 2], [-1, 0]]), axis=-1) < 0.15
        np.testing.assert_allclose(near.mean(0), 0.5, atol=0.02)
