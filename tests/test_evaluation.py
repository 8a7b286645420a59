"""How samples are measured: beside the floor, beside seeds, in batches, with the classifier."""

import json
import math
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import toy
from utils import datasets, device, evaluation, sources

RNG = np.random.default_rng


def flat(images, training=False):
    """A feature network of the simplest kind."""
    return tf.reshape(images, (len(images), -1))[:, :6]


@pytest.fixture
def digits():
    rng = RNG(0)
    return [rng.integers(0, 256, (n, 4, 4, 1)).astype("uint8") for n in (100, 40)]


def test_evaluation_measures_beside_the_floor(digits, capsys):
    judge = evaluation.Evaluation(flat, *digits, samples=1000)
    assert judge.n == 40
    floor = judge.floor()
    assert judge.frechet(digits[0][:40]) == pytest.approx(1)
    copies = judge(digits[0][40:80])
    assert copies["nearer train, pixels"] == copies["nearer train, features"] == 1
    assert 0.2 < floor["nearer train, pixels"] < 0.8
    inverted = judge(digits[0][:40] // 2)
    assert inverted["Fréchet distance"] > 2 * floor["Fréchet distance"]
    assert "smallest share" not in floor  # a network without logits
    evaluation.table(floor, copies=copies, other=inverted)
    printed = capsys.readouterr().out
    assert f"{inverted['Fréchet distance'] / floor['Fréchet distance']:.1f} ×" in printed


def test_an_evaluation_embeds_real_images_when_a_measure_needs_them(digits):
    """A training does not wait for it; what is embedded once is kept."""
    seen = []

    def network(images, training=False):
        tf.py_function(lambda n: seen.append(int(n)), [len(images)], [])
        return flat(images)

    judge = evaluation.Evaluation(network, *digits)
    assert seen == []
    judge.frechet(digits[0][:40])
    assert seen == [40] * 3  # the samples, the test and the floor images
    judge.floor()
    judge.frechet(digits[0][:40])
    assert seen == [40] * 5  # the training images, the samples


def test_the_table_as_it_is_printed(capsys):
    """Columns of numbers; a multiple beside each distance whose floor is known."""
    floor = {"Fréchet distance": 0.38, "times floor": 1.0, "kernel distance": 0.001}
    floor |= {"kernel distance ±": 0.002, "precision": 0.9, "shares": [0.5, 0.5]}
    best = floor | {"Fréchet distance": 3.8, "times floor": 10.0, "precision": 0.75}
    evaluation.table(floor, best=best, last=best | {"Fréchet distance": 40.0})
    assert capsys.readouterr().out.splitlines() == [
        "|                  | real images |           best |             last |",
        "| ---------------- | ----------: | -------------: | ---------------: |",
        "| Fréchet distance |       0.380 | 3.800 (10.0 ×) | 40.000 (105.3 ×) |",
        "| kernel distance  |       0.001 |          0.001 |            0.001 |",
        "| precision        |       0.900 |          0.750 |            0.750 |",
    ]
    evaluation.table(floor, measures=["precision"], best=best)
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_distance_whose_floor_is_lost_in_noise_has_no_multiple(digits, capsys):
    found = evaluation.Evaluation(flat, *digits).floor()
    found |= {"kernel distance": -0.01, "kernel distance ±": 0.02}
    evaluation.table(found, samples=found | {"kernel distance": 1.0})
    line = next(row for row in capsys.readouterr().out.splitlines() if row.startswith("| kernel"))
    assert line.split()[-2] == "1.000"


def test_a_result_beside_the_seeds_of_the_unchanged_lesson(monkeypatch, tmp_path, capsys):
    """Three seeds: the interval is the mean ± 4.303 s √(4/3), 4.303 from a table of t."""
    file = tmp_path / "seeds.json"
    file.write_text(
        '{"floor": 0.5, "lesson": {"quick": {"best": [9.0, 10.0, 11.0]}}}', encoding="utf-8"
    )
    monkeypatch.setattr(evaluation, "SEEDS_FILE", file)
    monkeypatch.setenv("PRESET", "quick")
    edge = 10 + 4.303 * math.sqrt(4 / 3)
    for value, word in ((edge - 0.01, "within noise"), (edge + 0.01, "more than noise")):
        evaluation.beside_seeds("lesson", 0.5, best=value, last=99.0)
        expected = f"best: {value:.1f} × against 10.0 ± 1.0 of the unchanged lesson, 3 seeds at"
        assert capsys.readouterr().out == f"{expected} `quick`: {word}\n"
    evaluation.beside_seeds("lesson", 0.6, best=1.0)  # other images
    evaluation.beside_seeds("another", 0.5, best=1.0)
    monkeypatch.setenv("PRESET", "long")
    evaluation.beside_seeds("lesson", 0.5, best=1.0)
    assert capsys.readouterr().out == ""


def test_the_shipped_seeds_are_read(monkeypatch, capsys):
    monkeypatch.setenv("PRESET", "quick")
    known = json.loads(evaluation.SEEDS_FILE.read_text(encoding="utf-8"))
    lessons = known.keys() - {"command", "floor"}
    assert lessons == {"01_gan", "02_dcgan", "04_lsgan", "05_wgan_gp", "06_cgan"}
    for lesson in lessons:
        evaluation.beside_seeds(lesson, known["floor"], best=1.0)
        assert "best: 1.0 × against" in capsys.readouterr().out


def test_images_that_cannot_be_measured(digits):
    judge = evaluation.Evaluation(flat, *digits)
    broken = digits[0][:40] / np.float32(255)
    broken[3, 0, 0] = np.nan
    for measure in judge, judge.frechet:
        with pytest.raises(ValueError, match="NaN"):
            measure(broken)
        with pytest.raises(ValueError, match=r"39 images.*compares 40"):
            measure(digits[0][:39])
        with pytest.raises(ValueError, match="floats from 0 to 255, not from -1"):
            measure(digits[0][:40].astype("float32"))
        with pytest.raises(ValueError, match=r"Images of \(4, 4\) are compared"):
            measure(digits[0][:40, ..., 0])
    with pytest.raises(ValueError, match="floats from 0 to 1"):
        evaluation.Evaluation(flat, digits[0] / 255.0, digits[1])
    with pytest.raises(ValueError, match=r"training images are \(4, 4, 1\), the test images"):
        evaluation.Evaluation(flat, digits[0], digits[1][:, :3])
    with pytest.raises(ValueError, match=r"of one shape, \(height, width, channels\)"):
        evaluation.Evaluation(flat, *(x[..., 0] for x in digits))
    with pytest.raises(ValueError, match=r"samples=10.0: take a whole number"):
        evaluation.Evaluation(flat, *digits, samples=10.0)
    same = digits[0][:40]
    with pytest.raises(ValueError, match=r"no floor to measure by"):
        evaluation.Evaluation(flat, np.concatenate([same, same]), same).frechet(same)
    with pytest.raises(ValueError, match=r"3 test and 80 training .* few to measure with: 4 test"):
        evaluation.Evaluation(flat, digits[0][:80], digits[1][:3])
    with pytest.raises(ValueError, match=r"40 test and 6 training images.*8 training images"):
        evaluation.Evaluation(flat, digits[0][:6], digits[1])


def test_measured_in_float32_whatever_training_runs_in():
    """bfloat16 rounds a product of numbers like 1 + 1/1000; measures must not."""
    dense = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, use_bias=False)])
    x = (1 + RNG(0).random((512, 64)) / 100).astype("float32")
    switch = tf.config.optimizer.get_experimental_options
    on = []

    def network(batch, training):
        on.append(switch()[device.ONEDNN_BFLOAT16])
        return dense(batch, training=training)

    with device.precision("bfloat16"):
        found = evaluation.in_batches(network, x)
        assert switch()[device.ONEDNN_BFLOAT16]  # and so it is again, whatever units there are
    assert not any(on)
    np.testing.assert_allclose(found, x @ np.asarray(dense.layers[0].kernel), atol=1e-4)


def test_in_batches_keeps_order_and_structure():
    x = np.arange(1100, dtype="float32")[:, None]  # three batches
    both = evaluation.in_batches(lambda batch, training: [batch, batch * 2], x)
    np.testing.assert_array_equal(both[0], x)
    np.testing.assert_array_equal(both[1], 2 * x)
    grey = np.array([0, 255], "uint8").reshape(2, 1, 1, 1)
    found = evaluation.in_batches(lambda batch, training: batch, grey)
    np.testing.assert_array_equal(found, grey / 127.5 - 1)


def test_in_batches_of_a_network_with_several_inputs():
    """z and labels go together; labels are no grey levels, whatever their type."""
    z = RNG(0).normal(size=(450, 3)).astype("float32")
    labels = np.arange(450).astype("uint8")
    inputs = [keras.Input((3,)), keras.Input((), dtype="int32")]
    network = keras.Model(inputs, keras.layers.Embedding(256, 3)(inputs[1]) + inputs[0])
    rows = np.asarray(network.weights[0])
    np.testing.assert_allclose(evaluation.in_batches(network, z, labels), rows[labels] + z)
    with pytest.raises(ValueError, match="as many of each input, one at least, not 450 and 449"):
        evaluation.in_batches(network, z, labels[1:])
    with pytest.raises(ValueError, match="not none"):
        evaluation.in_batches(network)


def test_many_samples_are_drawn_compiled_and_few_are_not():
    generator, _ = toy.networks()
    calls = []

    def spy(z, training):
        calls.append((tf.inside_function(), training))
        return generator(z, training=training)

    many = evaluation.draw(spy, 1000, toy.LATENT, seed=(1, 2))
    assert calls == [(True, False)]  # traced once
    z = tf.random.stateless_normal((1000, toy.LATENT), (1, 2))
    np.testing.assert_allclose(many, generator(z, training=False), atol=1e-5)
    few = evaluation.draw(spy, 2, toy.LATENT, seed=(1, 2))
    assert calls[1:] == [(False, False)]
    assert few.shape == (2, 28, 28, 1)


def test_the_published_classifier():
    """Under 1 MB, of the shape it says, and right about what no training set holds: a stroke."""
    assert (evaluation.DIGITS_FOLDER / "weights.npz").stat().st_size < 1_000_000
    network = evaluation.digit_classifier()
    features, logits = evaluation.in_batches(network, toy.data().images[:4])
    assert (features.shape, logits.shape) == ((4, 64), (4, 10))
    one = np.full((1, 28, 28, 1), -1.0, "float32")
    one[0, 5:23, 13:15] = 1
    assert evaluation.in_batches(network, one)[1].argmax() == 1


@pytest.mark.skipif(not os.environ.get("DATA_DIR"), reason="needs the real MNIST in DATA_DIR")
def test_the_published_classifier_on_the_test_set():
    """At least 99.2 % right, as metrics.json beside it says; training digits get the floor."""
    train, test = datasets.mnist(), datasets.mnist(split="test")
    _, logits = evaluation.in_batches(evaluation.digit_classifier(), test.images)
    accuracy = np.mean(logits.argmax(1) == test.labels)
    facts = json.loads((evaluation.DIGITS_FOLDER / "metrics.json").read_text(encoding="utf-8"))
    assert accuracy >= 0.992
    assert facts["test_accuracy"] == pytest.approx(accuracy, abs=2e-4)
    judge = evaluation.Evaluation(evaluation.digit_classifier(), train.images, test.images, 2000)
    assert judge.frechet(train.images[:2000]) == pytest.approx(1)
    assert 0.7 < judge.frechet(train.images[20000:22000]) < 1.4


def test_a_damaged_classifier_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "digit_classifier"
    folder.mkdir()
    for file in evaluation.DIGITS_FOLDER.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(evaluation, "DIGITS_FOLDER", folder)
    (folder / ".DS_Store").touch()
    (folder / ".ipynb_checkpoints").mkdir()
    sources.check_sums(folder)
    (folder / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"notes\.txt is damaged, or does not belong.* remove it"):
        sources.check_sums(folder)
    (folder / "notes.txt").unlink()
    content = bytearray((folder / "weights.npz").read_bytes())
    content[-2000] ^= 1
    (folder / "weights.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"digit_classifier/weights\.npz is damaged"):
        evaluation.digit_classifier()
