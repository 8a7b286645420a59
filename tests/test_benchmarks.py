"""What the benchmarks count with, held against sums by hand."""

import ast
import re

import numpy as np
import pytest
import tensorflow as tf
from keras import Sequential, activations, layers
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from benchmarks import (
    growing_parts,
    precision,
    readable_loss,
    seeds,
    speedrun,
    timing,
    which_networks,
)
from tests import toy
from tools import pages
from utils import callbacks, device
from utils.options import ROOT


def test_operations_of_a_step_by_hand():
    """Two a multiply-add; no gradient for the images, nor anything that no result needs."""
    network = Sequential(
        [
            layers.Input((16, 16, 3)),
            layers.Conv2D(8, 3, 2, "same"),
            layers.Conv2DTranspose(4, 4, 2, "same"),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )

    def step(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(network(images) ** 2)
        gradients = tape.gradient(loss, network.trainable_variables)
        network(images[:1])
        return {"loss": loss, "sum": tf.add_n([tf.reduce_sum(g) for g in gradients])}

    first, second, last = 8 * 8 * 9 * 3 * 8, 8 * 8 * 16 * 8 * 4, 16 * 16 * 4 * 5
    expected = 2 * 2 * (2 * first + 3 * second + 3 * last)  # two images
    assert timing.operations(step, tf.zeros((2, 16, 16, 3))) == expected


def test_turns():
    calls = []

    def step(name):
        calls.append(name)
        return {"loss": tf.constant(0.0)}

    found = timing.in_turns({n: lambda n=n: step(n) for n in "ab"}, turns=2, calls=3)
    assert "".join(calls) == "ab" + 2 * "aaabbb"
    assert [len(seconds) for seconds in found.values()] == [2, 2]


def test_a_profile_by_hand(tmp_path):
    """Events within are not counted twice; XLA's tasks belong to what handed them over."""
    space = xplane_pb2.XSpace()
    plane = space.planes.add()
    stats = {"_c": 1, "_p": 2, "hlo_op": 3}
    for name, number in stats.items():
        plane.stat_metadata[number].name = name

    def thread(*events):
        line = plane.lines.add()
        for start, end, name, *stat in events:
            number = len(plane.event_metadata) + 1
            plane.event_metadata[number].name = name
            event = line.events.add(metadata_id=number, offset_ps=start, duration_ps=end - start)
            if stat:
                event.stats.add(metadata_id=stats[stat[0]], int64_value=stat[1])

    thread(
        (0, 40, "EagerExecute"),
        (2, 12, "model/dense/MatMul:MatMul"),
        (4, 4, "ThreadpoolListener::Record", "_p", 7),
        (5, 8, "model/dense/BiasAdd:BiasAdd"),
        (20, 30, "convolution.12", "hlo_op", 0),
        (22, 22, "ThreadpoolListener::Record", "_p", 8),
        (30, 31, "end: convolution.12"),
        (32, 32, "ThreadpoolListener::Record", "_p", 9),
    )
    thread(
        (5, 5, "ThreadpoolListener::StartRegion", "_c", 7),
        (6, 6, "ThreadpoolListener::Record", "_p", 6),  # half of the task to a third thread
        (9, 9, "ThreadpoolListener::StopRegion"),
        (23, 23, "ThreadpoolListener::StartRegion", "_c", 8),
        (25, 29, "multiply_add_fusion", "hlo_op", 0),
        (31, 31, "ThreadpoolListener::StopRegion"),
        (33, 33, "ThreadpoolListener::StartRegion", "_c", 9),  # of no operation
        (39, 39, "ThreadpoolListener::StopRegion"),
    )
    thread(
        (7, 7, "ThreadpoolListener::StartRegion", "_c", 6),
        (10, 10, "ThreadpoolListener::StopRegion"),
    )
    (tmp_path / "by_hand.xplane.pb").write_bytes(space.SerializeToString())
    expected = {"MatMul": 10 - 3, "BiasAdd": 3, "convolution": 10, "multiply_add_fusion": 4}
    with_tasks = expected | {"MatMul": 10 - 3 + 4 + 3, "convolution": 10 + 8 - 4}
    for xla, values in (False, expected), (True, with_tasks):
        found = timing.kinds(str(tmp_path), xla)
        assert {kind: round(seconds * 1e12) for kind, seconds in found.items()} == values


def emulate_without_units(monkeypatch):
    for name in "precision", "keeps_layers":  # set back afterwards
        monkeypatch.setattr(device, name, getattr(device, name))
    monkeypatch.setattr(device, "has_bfloat16_units", lambda: False)
    precision.emulate()


def test_emulated_bfloat16_rounds_what_goes_into_products_and_out_of_them(monkeypatch):
    emulate_without_units(monkeypatch)
    x = tf.random.stateless_normal((2, 8, 8, 3), (1, 1))
    layer = layers.Conv2D(4, 3, use_bias=False)
    layer.build(x.shape)

    def gradients(name):
        with device.precision(name), tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x) ** 2)
        return tape.gradient(loss, [x, layer.kernel.value])

    def by_hand(cast):
        image, kernel = cast(x), cast(layer.kernel.value)
        y = cast(tf.nn.conv2d(image, kernel, 1, "VALID"))
        where = {"out_backprop": cast(2 * y), "strides": [1] * 4, "padding": "VALID"}
        sizes = {"input_sizes": x.shape}, {"filter_sizes": kernel.shape}
        to_image = tf.raw_ops.Conv2DBackpropInput(filter=kernel, **sizes[0], **where)
        to_kernel = tf.raw_ops.Conv2DBackpropFilter(input=image, **sizes[1], **where)
        return cast(to_image), cast(to_kernel)

    rounded = by_hand(lambda y: tf.cast(tf.cast(y, tf.bfloat16), tf.float32))
    for name, expected in (("bfloat16", rounded), ("float32", by_hand(tf.identity))):
        for found, value in zip(gradients(name), expected, strict=True):
            np.testing.assert_array_equal(found, value)
    assert np.any(rounded[0] != gradients("float32")[0])


def test_emulated_bfloat16_in_training_and_nowhere_else(monkeypatch, in_float32):
    emulate_without_units(monkeypatch)
    x = tf.random.stateless_normal((1, 8, 8, 1), (1, 1))
    kernel = x[0, :3, :3, :, None]
    plain = tf.nn.convolution(x, kernel).numpy()
    found = {}
    for name in "float32", "bfloat16":
        monkeypatch.setenv("PRECISION", name)
        device.set_training_precision(mixed=False)
        trainer = toy.make(lesson=name)
        beside = []

        def sample(trainer=trainer, beside=beside):
            beside.append(tf.nn.convolution(x, kernel).numpy())
            return trainer.averaged["generator"](tf.zeros((4, toy.LATENT)), training=False)

        trainer.fit(toy.data(), 1, 2, sample)
        assert len(beside) == 2
        np.testing.assert_array_equal(beside, 2 * [plain])
        found[name] = trainer.history[-1]["d_loss"]
    assert found["float32"] != found["bfloat16"]
    np.testing.assert_allclose(found["float32"], found["bfloat16"], rtol=0.05)


def test_fit_beside_a_bare_loop(monkeypatch):
    monkeypatch.setenv("STANDIN", "never")  # as the module does, for good
    from benchmarks import overhead

    monkeypatch.setattr(overhead, "TURNS", 2)
    monkeypatch.setattr(overhead, "LONGEST", 60)
    trainer = toy.make()
    averaged = trainer.averaged["generator"]
    z = tf.random.stateless_normal((4, toy.LATENT), seed=(0, 0))
    given = {"dataset": toy.data(), "rounds": 7, "steps_per_round": 4, "score_every": 3}
    given |= {"sample": lambda: averaged(z, training=False), "score": lambda: scores.append(0)}
    scores = []
    monkeypatch.setattr(overhead, "until_training", lambda lesson: (trainer, given))
    row = overhead.measure("toy")
    assert len(scores) == 2
    assert [r["step"] for r in trainer.history] == [2, 2 + 4, 2 + 8]  # the first chooses
    name, *cells = row.strip("| ").split(" | ")
    assert name == "toy"
    assert len(cells) == 8
    step, waits, rate, *shares = (float(cell.strip("%ms ").replace(",", "")) for cell in cells)
    assert step > 0
    assert 0 <= waits <= 100
    assert rate > 0
    assert np.isfinite(shares).all()  # differences of medians: below 0 by chance


def test_the_race_ends_at_the_second_good_score_in_a_row():
    times = iter([10.0, 20.0, 30.0, 40.0])
    judge = speedrun.StopWhenGood(lambda: next(times))
    judge.set_model(callbacks.NoModel())
    for score in 9.0, 11.0, 10.0:
        judge.on_epoch_end(0, {"score": score})
        assert not judge.model.stop_training
    judge.on_epoch_end(3, {"score": 9.5})
    assert judge.model.stop_training
    assert judge.ended == 40.0


@pytest.mark.parametrize("lesson", seeds.LESSONS)
def test_a_page_can_be_scored_every_round(lesson):
    page = pages.Page(lesson)
    before = "\n".join(cell.source for cell in page.code)
    seeds.score_every_round(page)
    after = "\n".join(cell.source for cell in page.code)
    pattern = r'score_every(?:=|": )(\d+)'
    said = re.findall(pattern, before)  # where nothing is said, every round is scored
    assert all(int(number) > 1 for number in said)
    assert re.findall(pattern, after) == ["1"] * len(said)


def test_the_clock_of_the_race_rests_while_it_scores(monkeypatch):
    now = iter([100.0, 103.0, 110.0, 111.0])  # made, paused from 103 to 110, asked at 111
    monkeypatch.setattr(speedrun.time, "perf_counter", lambda: next(now))
    clock = speedrun.Clock()
    with clock:
        pass
    assert clock() == 111.0 - 100.0 - 7.0


def test_the_table_of_losses_has_a_row_for_each_loss_and_a_number_for_each_seed():
    falling = [{"round": i, "score": 9.0 - i, "d_loss": i**2, "g_loss": 9.0 - i} for i in range(9)]
    histories = {"02_dcgan": [falling] * 3, "05_wgan_gp": [falling]}
    rows = readable_loss.correlations(histories)
    assert rows[0] == ["02_dcgan, d_loss", "-1.00 -1.00 -1.00", "+nan +nan +nan"]
    assert rows[1][:2] == ["02_dcgan, g_loss", "+1.00 +1.00 +1.00"]
    assert rows[2] == ["02_dcgan, number of the round", "-1.00 -1.00 -1.00", "–"]
    assert rows[3][:2] == ["05_wgan_gp, minus d_loss", "+1.00"]


def kinds(network):
    return [type(layer).__name__ for layer in network.layers]


@pytest.mark.parametrize("loss", which_networks.LESSONS)
def test_the_networks_of_the_table_differ_in_what_they_are_called_after(loss):
    built = {name: which_networks.build(name, loss) for name in which_networks.NETWORKS}
    generator, discriminator = (kinds(x) for x in built["unchanged"])
    for name in "rate x 4", "Adam with .9":  # which differ in the optimizer
        assert [kinds(x) for x in built[name]] == [generator, discriminator]
    for network in built["without batch norm"]:
        assert "BatchNormalization" not in kinds(network)
    without = [x for x in generator if x != "BatchNormalization"]
    assert kinds(built["without batch norm"][0]) == without
    assert kinds(built["tanh in D"][1]) == [
        "Activation" if x == "LeakyReLU" else x for x in discriminator
    ]
    of_d = [x for x in built["tanh in D"][1].layers if isinstance(x, layers.Activation)]
    assert all(x.activation is activations.tanh for x in of_d)
    dense = kinds(built["dense D"][1])
    assert dense.count("Dense") == 3
    assert "Conv2D" not in dense
    assert ("GaussianNoise" in dense) == ("GaussianNoise" in discriminator)
    for before, after in zip(built["unchanged"], built["deeper"], strict=True):
        assert after.output_shape == before.output_shape
        new = kinds(after).count("Conv2D") - kinds(before).count("Conv2D")
        assert new == sum(x in ("ReLU", "LeakyReLU") for x in kinds(before))
    is_critic = loss == "Wasserstein"
    for name in ("unchanged", "deeper", "tanh in D"):
        assert ("BatchNormalization" in kinds(built[name][1])) == (not is_critic)


def test_a_run_reaches_the_limit_within_its_updates_or_not():
    scores = [90.0, 30.0, 20.0, 12.0]
    assert which_networks.needed(scores, 20.0) == 3000
    assert which_networks.needed(scores, 10.0) is None
    assert which_networks.cell(scores, 20.0, 4000) == "3,000"
    assert which_networks.cell(scores, 20.0, 2999) == "no (30 ×)"
    assert which_networks.cell(scores, 20.0, 999) == "no (not scored)"


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda p: p.stem)
def test_a_benchmark_that_is_imported_leaves_the_environment_as_it_is(path):
    """Else all that runs in the same process has its preset, as the pages of CI once had."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        is_definition = isinstance(node, ast.FunctionDef | ast.ClassDef)
        is_main = isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)
        assert is_definition or is_main or "os.environ" not in ast.unparse(node)


def test_a_stage_begins_at_the_seconds_at_which_the_one_before_ended():
    curve = [{"size": 4, "step": 10}, {"size": 4, "step": 20}, {"size": 8, "step": 10}]
    found = growing_parts.timed(curve, {4: (0.5, 3.0), 8: (2.0, 4.0)})
    assert found == [8.0, 13.0, 13.0 + 4.0 + 20.0]


@pytest.mark.parametrize("name", growing_parts.ARMS)
def test_an_arm_of_growing_differs_in_what_its_name_says(name):
    """Pages of all arms are made before one is trained for hours."""
    page = growing_parts.page_of(name)
    rounds, seed = growing_parts.ARMS[name]
    found = page.definitions("LEARNING_RATE", "SEED", "build_critic", "faded", "PixelNorm")
    assert vars(found)["ROUNDS"] == rounds
    assert vars(found)["SEED"] == seed
    unchanged = pages.Page("10_pggan").definitions("build_critic").LEARNING_RATE
    assert vars(found)["LEARNING_RATE"] == growing_parts.RATES.get(name, unchanged)
    kinds = {type(layer).__name__ for layer in found.build_critic(8).layers}
    assert ("MinibatchDeviation" in kinds) == (name != "without minibatch deviation")
    x = np.random.default_rng(0).normal(0, 3, (1, 8, 8, 3)).astype("float32")
    assert np.allclose(found.PixelNorm()(x), x) == (name == "without pixel normalization")
    assert np.allclose(found.faded(x, 8, 0.0), x) == (name == "real images not faded")


def test_texts_at_which_benchmarks_stop_a_page_stand_in_it():
    """Where a page's code has changed, a benchmark would end in an error after its trainings."""
    lacking, found = [], 0
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        source = path.read_text(encoding="utf-8")
        named = [name for name in pages.lessons() if name in source] or pages.lessons()
        code = "\n".join(cell.source for name in named for cell in pages.Page(name).code)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.keyword) and node.arg in ("until", "show"):
                texts = [x.value for x in ast.walk(node.value) if isinstance(x, ast.Constant)]
                found += len(texts)
                lacking += [(path.name, text) for text in texts if text not in code]
    assert found
    assert lacking == []
