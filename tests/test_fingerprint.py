"""What a run is known by: what is computed, from which start; names and spelling do not count."""

import dataclasses
import functools
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from utils import fingerprint

BATCH = tf.TensorSpec((4, 3), tf.float32)
FACTOR = 2.0


@pytest.fixture
def weight():
    return tf.Variable(tf.ones((3, 1)), name="weight")


def computed(step, **owned):
    graph = tf.function(step).get_concrete_function(BATCH).graph
    return fingerprint.computed(graph, owned)


def plain_step(weight, factor=FACTOR):
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((x @ weight) ** 2) * factor
        weight.assign_sub(0.1 * tape.gradient(loss, weight))
        return {"loss": loss}

    return step


class Loss(keras.losses.Loss):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, y_true, y_pred):
        return tf.reduce_mean(tf.square(y_pred), axis=-1) * self.factor


class Callable_:
    def __init__(self, weight):
        self.weight = weight

    def __call__(self, x):
        return plain_step(self.weight)(x)


def renamed(weight):
    def another_name(images):
        with tf.GradientTape() as watched:
            value = tf.reduce_mean((images @ weight) ** 2) * FACTOR
        slope = watched.gradient(value, weight)
        weight.assign_sub(0.1 * slope)
        return {"another": value}

    return another_name


def from_a_dict(weight, number=2.0):
    return plain_step(weight, {"factor": number}["factor"])


def with_the_batch(weight):
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((x @ weight) ** 2) / x.shape[0] * FACTOR
        weight.assign_sub(0.1 * tape.gradient(loss, weight))
        return {"loss": loss}

    return step


def with_a_number(weight):
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((x @ weight) ** 2) / 4 * FACTOR
        weight.assign_sub(0.1 * tape.gradient(loss, weight))
        return {"loss": loss}

    return step


@pytest.mark.parametrize(
    "other",
    [
        renamed,
        from_a_dict,
        lambda weight: plain_step(weight, np.float32(2.0)),
        lambda weight: tf.function(plain_step(weight)),
        lambda weight: functools.partial(plain_step(weight)),
        lambda weight: functools.partial(tf.function(plain_step(weight))),
        Callable_,
    ],
    ids=["names", "dict", "float32", "function", "partial", "partial of function", "__call__"],
)
def test_what_computes_the_same_has_the_same_print(weight, other):
    expected = computed(plain_step(weight), weight=weight)
    assert computed(other(weight), weight=weight) == expected


def test_a_size_may_be_a_constant_or_the_shape(weight):
    steps = with_the_batch(weight), with_a_number(weight)
    assert len({computed(step, weight=weight) for step in steps}) == 1


DRAWS = {
    "normal": lambda x: tf.random.normal((4, 3)),
    "seeded": lambda x: tf.random.uniform((4, 3), seed=1),
    "dropout": lambda x: tf.nn.dropout(x, 0.5),
    "shuffle": tf.random.shuffle,
    "inside": lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: tf.random.normal((4, 3)), lambda: x),
    "image": lambda x: tf.image.random_flip_left_right(x[..., None]),
}


@pytest.mark.parametrize("name", DRAWS)
def test_random_numbers_that_cannot_go_on_are_refused(weight, name):
    def step(x):
        weight.assign_add(0.1 * tf.reduce_sum(DRAWS[name](x)) * tf.ones_like(weight))
        return {}

    with pytest.raises(ValueError, match="draws random numbers that could not go on"):
        computed(step, weight=weight)


def test_random_numbers_that_go_on_are_not_refused(weight):
    rng = tf.random.Generator.from_seed(1)
    noise = keras.layers.GaussianNoise(0.1, seed=1)

    def step(x):
        drawn = rng.normal((4, 3)) + tf.random.stateless_uniform((4, 3), (0, 1))
        weight.assign_add(tf.reduce_sum(drawn + noise(x, training=True)) * tf.ones_like(weight))
        return {}

    assert computed(step, weight=weight, rng=rng.state, seed=noise.seed_generator.state)


def test_loss_classes_and_functions_inside_are_looked_into(weight):
    def with_class(factor):
        loss = Loss(factor)
        return step(lambda x: loss(x, x))

    @tf.function
    def inner(x):
        return tf.reduce_mean(tf.reduce_mean(tf.square(x), axis=-1) * 2.0)

    @tf.function
    def other(x):
        return tf.reduce_mean(tf.reduce_mean(tf.square(x), axis=-1) * 2.5)

    def inline(x):
        return tf.reduce_mean(tf.reduce_mean(tf.square(x), axis=-1) * 2.0)

    def step(loss):
        def run(x):
            weight.assign_sub(tf.ones_like(weight) * loss(x @ weight))
            return {}

        return run

    prints = [computed(with_class(factor), weight=weight) for factor in (2.0, 2.0, 2.5)]
    assert prints[0] == prints[1] != prints[2]
    assert computed(step(inner), weight=weight) == computed(step(inline), weight=weight)
    assert computed(step(inner), weight=weight) != computed(step(other), weight=weight)


@dataclasses.dataclass
class Numbers:
    factor: float


@pytest.mark.parametrize(
    "other",
    [
        lambda weight: from_a_dict(weight, 2.5),
        lambda weight: plain_step(weight, types.SimpleNamespace(factor=2.5).factor),
        lambda weight: plain_step(weight, Numbers(2.5).factor),
        lambda weight: plain_step(weight, np.float32(2.5)),
        lambda weight: plain_step(weight, tf.constant(2.5)),
    ],
    ids=["dict", "namespace", "dataclass", "float32", "captured"],
)
def test_another_number_is_another_print(weight, other):
    assert computed(other(weight), weight=weight) != computed(plain_step(weight), weight=weight)


def with_cond(weight, number=1.0, twice=False):
    def step(x):
        if tf.reduce_mean(x) > 0:
            weight.assign_add(tf.ones_like(weight) * number)
            if twice:
                weight.assign(weight * 2)
        else:
            if twice:
                weight.assign(weight * 2)
            weight.assign_sub(tf.ones_like(weight))
        return {"mean": tf.reduce_mean(weight)}

    return step


def with_while(weight, number=1.0, end=3, swapped=False):
    def step(x):
        for _ in tf.range(end):
            if swapped:
                weight.assign(weight * 2)
                weight.assign_add(tf.ones_like(weight) * number)
            else:
                weight.assign_add(tf.ones_like(weight) * number)
                weight.assign(weight * 2)
        return {"mean": tf.reduce_mean(weight)}

    return step


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (with_cond, {"number": 1.5}),
        (with_cond, {"twice": True}),
        (with_while, {"number": 1.5}),
        (with_while, {"end": 4}),
        (with_while, {"swapped": True}),
    ],
)
def test_constants_and_writes_inside_cond_and_while_count(weight, make, change):
    assert computed(make(weight), weight=weight) == computed(make(weight), weight=weight)
    assert computed(make(weight), weight=weight) != computed(make(weight, **change), weight=weight)


def test_a_write_inside_a_branch_is_a_write(weight):
    """What reads it afterwards reads something else."""

    def step(before):
        def run(x):
            first = tf.reduce_sum(weight)
            if tf.reduce_mean(x) > 0:
                weight.assign_add(tf.ones_like(weight))
            return {"sum": first if before else tf.reduce_sum(weight)}

        return run

    assert computed(step(True), weight=weight) != computed(step(False), weight=weight)


@pytest.mark.parametrize("make", [plain_step, with_cond, with_while])
def test_a_variable_that_is_written_and_not_owned_is_refused(weight, make):
    with pytest.raises(ValueError, match=r"train_step changes `weight`, which this Trainer does"):
        computed(make(weight))


def test_a_variable_that_is_only_read_counts_by_its_value(weight):
    def step(frozen):
        def run(x):
            weight.assign_sub(tf.ones_like(weight) * tf.reduce_mean(x @ frozen))
            return {}

        return run

    def in_a_branch(frozen):
        def run(x):
            if tf.reduce_mean(x) > 0:
                weight.assign_sub(tf.ones_like(weight) * tf.reduce_mean(x @ frozen))
            return {}

        return run

    for make in step, in_a_branch:
        one, same, other = (tf.Variable(tf.fill((3, 1), value)) for value in (1.0, 1.0, 2.0))
        assert computed(make(one), weight=weight) == computed(make(same), weight=weight)
        assert computed(make(one), weight=weight) != computed(make(other), weight=weight)


@pytest.mark.parametrize("call", ["py_function", "numpy_function"])
def test_python_inside_a_step_is_refused(weight, call):
    def step(x):
        weight.assign_sub(getattr(tf, call)(lambda y: y, [weight], tf.float32))
        return {}

    def in_a_branch(x):
        if tf.reduce_mean(x) > 0:
            step(x)
        return {}

    for one in step, in_a_branch:
        with pytest.raises(ValueError, match="train_step calls Python while it runs"):
            computed(one, weight=weight)


def test_a_table_cannot_be_compared(weight):
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([1], [2]), 0)

    def step(x):
        return {"found": table.lookup(tf.constant(1))}

    with pytest.raises(ValueError, match="cannot be compared between runs"):
        computed(step, weight=weight)


def network(**options):
    keras.utils.set_random_seed(0)
    first = keras.layers.Dense(4, **options)
    return keras.Sequential(
        [keras.Input((3,)), first, keras.layers.Dropout(0.2), keras.layers.Dense(1)]
    )


def network_step(network, training=True):
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(network.trainable_variables)

    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(network(x, training=training) ** 2)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)
        return {"loss": loss}

    owned = {f"network/{i}": v for i, v in enumerate(network.variables)}
    owned |= {f"optimizer/{i}": v for i, v in enumerate(optimizer.variables)}
    return computed(step, **owned)


def frozen(made):
    made.layers[0].trainable = False
    return made


def with_policy(name):
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(name)
    try:
        return network_step(network())
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def test_layers_count_by_what_they_compute():
    expected = network_step(network())
    assert network_step(network(name="another_name")) == expected
    assert network_step(network(activation="linear")) == expected
    changed = (
        network_step(network(activation="relu")),
        network_step(frozen(network())),
        network_step(network(), training=False),
        with_policy("mixed_bfloat16"),
    )
    assert expected not in changed
    assert len(set(changed)) == len(changed)


def test_a_start_is_compared_with_a_tolerance():
    rng = np.random.default_rng(0)
    value = rng.normal(size=(20, 30)).astype("float32")
    rounded = value.astype("float16").astype("float32")
    last_bit = np.nextafter(value, np.float32(9))
    one_changed = value.copy()
    one_changed[3, 4] += 0.1
    moved = value[::-1]
    start = fingerprint.start({"a": value})
    for other in value, rounded, last_bit:
        assert fingerprint.unlike(start, fingerprint.start({"a": other})) == []
    for other in one_changed, moved, value * 1.001, value[:10]:
        assert fingerprint.unlike(start, fingerprint.start({"a": other})) == ["a"]
    assert fingerprint.unlike(start, {}) == ["a"]


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (np.float32(4e-4), np.float32(4e-4), True),
        (np.float32(4e-4), np.float32(4.01e-4), False),
        (np.float32(1e-9), np.float32(2e-9), False),  # half precision would make both 0
        (np.int64(3), np.int64(4), False),
        (np.zeros(3, "float32"), np.zeros(3, "float32"), True),
        (np.zeros(3, "float32"), np.zeros(4, "float32"), True),  # computed tells the shapes
        (np.uint32([1, 2]), np.uint32([1, 3]), False),
    ],
)
def test_single_numbers_and_seeds(a, b, same):
    starts = [fingerprint.start({"a": np.asarray(value)}) for value in (a, b)]
    assert (fingerprint.unlike(*starts) == []) == same


def identity(**changes):
    found = {
        "form": fingerprint.FORM,
        "constants": {"BATCH_SIZE": 64},
        "data": {"seed": 1, "images": "ab" * 32},
        "machine": {"precision": "float32", "XLA": False, "replicas": 1},
        "start": {"generator/000": [1.0, 0.5]},
        "computed": "abc",
    }
    return {**found, **changes}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"constants": {"BATCH_SIZE": 128}}, "BATCH_SIZE 64 → 128"),
        ({"constants": {"BATCH_SIZE": 64, "NOISE": 0.1}}, "NOISE None → 0.1"),
        ({"data": {"seed": 2, "images": "ab" * 32}}, "the data's seed 1 → 2"),
        ({"data": {"seed": 1, "images": "cd" * 32}}, "the data's images"),
        ({"machine": {"precision": "float32", "XLA": True, "replicas": 1}}, "XLA False → True"),
        ({"start": {"generator/000": [1.1, 0.5]}}, "the values that generator begin with"),
        ({"computed": "abd"}, "what train_step computes"),
        ({"form": 2}, "another version of utils wrote it"),
    ],
)
def test_what_differs_is_named(change, words):
    assert fingerprint.differences(identity(), identity(**change)) == [words]
    assert fingerprint.differences(identity(), identity()) == []


def test_first_updates_agree_up_to_rounding():
    keras.utils.set_random_seed(0)
    made = network()
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(made.trainable_variables)

    def step(factor):
        def run(x):
            with tf.GradientTape() as tape:
                loss = factor * tf.reduce_mean(made(x, training=False) ** 2)
            gradients = tape.gradient(loss, made.trainable_variables)
            optimizer.apply(gradients, made.trainable_variables)
            return {"loss": loss}

        return run

    start = [v.numpy() for v in (*made.variables, *optimizer.variables)]
    found = []
    for factor in 1.0, 1.0 + 1e-6, 1.01:
        for variable, value in zip((*made.variables, *optimizer.variables), start, strict=True):
            variable.assign(value)
        found.append(fingerprint.first_update(step(factor), tf.ones((4, 3)), {"adam": optimizer}))
    assert any(name.startswith("adam/") for name in found[0])
    assert fingerprint.same_update(found[0], found[1])
    assert not fingerprint.same_update(found[0], found[2])
    assert not fingerprint.same_update(found[0], {})


def test_rounding_that_adam_makes_large_is_no_difference():
    """The gradient of a weight that does not matter is rounding, but Adam moves it as far."""
    found = []
    for rounding in 1e-6, -1e-6:
        d, g = (keras.Variable(np.ones(n, "float32")) for n in (400, 1))
        adam = {name: keras.optimizers.Adam(0.01) for name in ("d", "g")}
        for name, variable in ("d", d), ("g", g):
            adam[name].build([variable])

        def step(batch, d=d, g=g, adam=adam, rounding=rounding):
            gradient = np.full(400, 1.0, "float32")
            gradient[:20] = rounding
            adam["d"].apply([gradient], [d])
            adam["g"].apply([tf.reduce_sum(d.value)[None]], [g])
            return {"loss": 1.0}

        found.append(fingerprint.first_update(step, None, adam))
    moments = [abs(one["g/000"][0]) for one in found]
    assert 1e-4 < abs(moments[0] / moments[1] - 1) < 0.01
    assert fingerprint.same_update(*found)


def test_rates_after_the_first_update_count():
    """All begin with 0.1, and the first update is the same."""
    found = []
    for steps in 100, 100, 1000:
        rate = keras.optimizers.schedules.CosineDecay(0.1, steps)
        adam = keras.optimizers.Adam(rate)
        adam.build([keras.Variable(np.ones(3))])
        found.append(fingerprint.first_update(lambda batch: {}, None, {"adam": adam}))
    assert fingerprint.same_update(found[0], found[1])
    assert not fingerprint.same_update(found[0], found[2])
