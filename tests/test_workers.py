"""Two workers over 127.0.0.1: they compute what one process does, and say what is wrong."""

import contextlib
import functools
import io
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from tests import processes, toy, train_page
from utils import options, runtime, workers

# In float64, because these games amplify rounding tenfold in five updates.
TOLERANCE = 1e-9
SLOW = pytest.mark.slow


def free_ports(n):
    """Return ports that nothing listens at."""
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def config(number, ports=(1, 2), kind="worker", **jobs):
    addresses = [f"127.0.0.1:{port}" for port in ports]
    task = {"type": kind, "index": number}
    return json.dumps({"cluster": {"worker": addresses, **jobs}, "task": task})


# What TF_CONFIG says


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting property name"),
        ("[]", "list indices"),
        ('{"cluster": {"worker": ["a:1", "b:2"]}}', "'task' is missing"),
        (config(0, ps=["127.0.0.1:3"]), "'ps' is neither chief nor worker"),
        (config(0, kind="evaluator"), "'evaluator' is neither"),
        (config(2), "there is no worker with the index 2"),
        (config(-1), "there is no worker with the index -1"),
        (config(0, ports=("one", 2)), "'one'"),
        ('{"cluster": {"worker": ["a", "b"]}, "task": {"type": "worker", "index": 0}}', "unpack"),
    ],
)
def test_a_config_that_cannot_be_read_is_named(text, why, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=rf"TF_CONFIG cannot be read: .*{why}.*It looks so: {{"):
        options.cluster()


def test_the_example_in_the_message_is_right(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", options.TF_CONFIG)
    assert options.cluster() == (("10.0.0.1:12345", "10.0.0.2:12345"), 0)


def test_an_address_that_does_not_exist_is_named(monkeypatch):
    worker = ["127.0.0.1:1", "nowhere.invalid:2"]
    monkeypatch.setenv("TF_CONFIG", config(0, worker=worker))
    with pytest.raises(ValueError, match=r"names nowhere\.invalid, which this machine cannot find"):
        workers.join({})


@pytest.mark.parametrize("text", ["", " ", config(0, ports=[1])])
def test_one_worker_trains_as_without(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    assert options.cluster() is None
    assert not workers.join({})


@pytest.mark.parametrize(("kind", "index", "number"), [("chief", 0, 0), ("worker", 1, 2)])
def test_the_chief_comes_first(kind, index, number, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config(index, kind=kind, chief=["127.0.0.1:9"]))
    assert options.cluster() == (("127.0.0.1:9", "127.0.0.1:1", "127.0.0.1:2"), number)


def test_a_port_that_is_taken_is_named(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        monkeypatch.setenv("TF_CONFIG", config(0, ports=[taken.getsockname()[1], 2]))
        with pytest.raises(ValueError, match=r"Worker 0 cannot listen at 127.0.0.1:\d+ \(Address"):
            workers.join({})


def test_workers_meet_and_others_who_call_are_no_workers(capsys):
    """Three threads; one comes late, and somebody else calls before."""
    ports = free_ports(3)
    found = [options.Cluster(tuple(f"127.0.0.1:{p}" for p in ports), n) for n in range(3)]
    met = [threading.Thread(target=workers._meet, args=(one,)) for one in found]
    for thread in met[:2]:
        thread.start()
    for number in 0, 1:
        while not workers._call(found[2], number):  # not until it listens
            time.sleep(0.01)
    with socket.create_connection(("127.0.0.1", ports[1])) as stranger:
        stranger.sendall(b"GET / HTTP/1.1")
    time.sleep(0.5)
    assert all(thread.is_alive() for thread in met[:2])
    met[2].start()
    for thread in met:
        thread.join(20)
        assert not thread.is_alive()
    said = capsys.readouterr().out
    assert f"Worker 0 of 3 waits for 127.0.0.1:{ports[1]}, 127.0.0.1:{ports[2]}." in said


# Two processes


def start(function, folder, each=({}, {})):
    """Call a function in workers, one for each environment; return their processes."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = free_ports(len(each))
    common = {"OUTPUT_DIR": str(folder), "STANDIN": "always", "PRESET": "smoke", "XLA": "0"}
    running = []
    for number, own in enumerate(each):
        file = folder / f"told-{number}.json"
        file.unlink(missing_ok=True)
        several = {"TF_CONFIG": config(number, ports)} if len(each) > 1 else {}
        running.append(processes.start(_call, function, str(file), **common | several | own))
    return running


def _call(function, file):
    """Call a function; write what it returned, or the sentence of its error, and what it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            told = function()
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
    Path(file).write_text(json.dumps([told, said.getvalue()]), encoding="utf-8")


def told(function, folder, each=({}, {})):
    """Call a function in workers; return what each returned and said."""
    for process in start(function, folder, each):
        process.join()
    files = [folder / f"told-{number}.json" for number in range(len(each))]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def train_lessons(lessons):
    runtime.start(1)
    for lesson in lessons:
        keras.config.set_floatx("float64")
        keras.mixed_precision.set_dtype_policy("float64")
        values = train_page.fifty_updates(lesson).state.values()
        np.savez(f"{os.environ['OUTPUT_DIR']}/{lesson}-{os.getpid()}.npz", **values)
    return os.getpid()


@pytest.mark.parametrize(
    "lessons",
    [["01_gan"], pytest.param(["02_dcgan", "05_wgan_gp", "09_srgan"], marks=SLOW)],
    ids=["one lesson", "three lessons"],
)
def test_two_workers_compute_what_one_process_does(lessons, tmp_path):
    train = functools.partial(train_lessons, lessons)
    ((alone, _),) = told(train, tmp_path / "alone", each=({},))
    (first, said), (second, others) = told(train, tmp_path / "two")
    assert "Worker 0 of 2 waits for 127.0.0.1:" in said
    assert "Training 2 rounds" in said
    assert others.splitlines()[1] == "All workers are there. Worker 0 prints and writes files."
    assert "round" not in others
    for lesson in lessons:
        paths = [f"alone/{lesson}-{alone}", f"two/{lesson}-{first}", f"two/{lesson}-{second}"]
        one, chief, other = (dict(np.load(tmp_path / f"{path}.npz")) for path in paths)
        floats = [name for name, value in one.items() if value.dtype.kind == "f"]
        off = max(np.abs(one[name] - chief[name]).max() for name in floats)
        print(lesson, "largest difference after 50 updates:", off)
        assert off < TOLERANCE
        for name in one:
            np.testing.assert_array_equal(chief[name], other[name])
        assert len(list((tmp_path / "two" / lesson).glob("smoke/rounds/*.npz"))) == 3


def sentences():
    """Return what each mistake is told as; the workers go on after each."""
    found = []

    def tried(do):
        try:
            do()
            found.append("")
        except (ValueError, OSError, FloatingPointError) as error:
            found.append(str(error))

    runtime.start(1)
    number = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    tried(lambda: workers.agree("environment", {"PRESET": ["smoke", "quick"][number]}))
    tried(lambda: toy.fit(toy.make(constants={"BATCH_SIZE": 8 + number}), 1))
    loss = [toy.generator_loss, lambda logits: 2 * toy.generator_loss(logits)][number]
    tried(lambda: toy.fit(toy.make(g_loss=loss, lesson="loss"), 1))
    shared = os.environ["OUTPUT_DIR"]
    os.environ["OUTPUT_DIR"] = f"{shared}/{number}"
    tried(lambda: workers.check_shared(Path(os.environ["OUTPUT_DIR"])))
    os.environ["OUTPUT_DIR"] = shared
    Path(shared, "file").write_text("", encoding="utf-8")
    tried(lambda: toy.fit(toy.make(lesson="file"), 1))
    tried(lambda: toy.fit(toy.make(lesson="diverged", rate=1e30), 2))
    tried(lambda: toy.fit(toy.make(lesson="good"), 1))
    return found


def test_each_mistake_is_a_sentence_to_all_workers(tmp_path):
    for number in 0, 1:
        (tmp_path / str(number)).mkdir()
    (first, _), (second, _) = told(sentences, tmp_path)
    assert first[:3] + first[4:] == second[:3] + second[4:]
    assert second[3] == first[3].replace(f"{tmp_path}/0", f"{tmp_path}/1")
    environment, constant, loss, shared, file, diverged, good = first
    assert "Workers 0 and 1 have another environment: PRESET 'smoke' and 'quick'." in environment
    assert "Workers 0 and 1 have another training: constants" in constant
    assert "BATCH_SIZE" in constant
    assert "Workers 0 and 1 have another training: computed" in loss
    assert "Worker 1 does not see what worker 0 writes in" in shared
    assert "file/smoke cannot be written to: File exists" in file
    assert "the training has diverged" in diverged
    assert good == ""


def train_toy(ends=None):
    """Train for six rounds; the worker of this number is interrupted after the third."""
    runtime.start(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job may ignore it
    number = json.loads(os.environ["TF_CONFIG"])["task"]["index"]

    def end(epoch, logs):
        if number == ends and epoch == 2:
            signal.raise_signal(signal.SIGINT)
        if ends == "killed 1" and number == 1 and epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    trainer = toy.make()
    toy.fit(trainer, 6, [keras.callbacks.LambdaCallback(on_epoch_end=end)])
    np.savez(f"{os.environ['OUTPUT_DIR']}/{number}.npz", **trainer.state.values())
    return len(trainer.history)


@pytest.mark.parametrize(
    "ends", [pytest.param(0, marks=SLOW), 1, pytest.param("killed 1", marks=SLOW)]
)
def test_where_one_ends_the_others_end_and_all_go_on_bit_for_bit(ends, tmp_path):
    running = start(functools.partial(train_toy, ends), tmp_path / "halves")
    for process in running:
        process.join(90)
        assert process.exitcode is not None
    stays = 1 - (ends if isinstance(ends, int) else 1)
    sentence, _ = json.loads((tmp_path / f"halves/told-{stays}.json").read_text(encoding="utf-8"))
    assert "Another worker has ended the training: " in sentence
    assert "It is saved up to round 3 of 6. Restart all workers to continue." in sentence
    if isinstance(ends, int):
        # Worker 0 passes on why a worker ends. If it ends itself, it may be too late for that.
        names = f"task:{ends}: it was interrupted." in sentence
        assert names or (ends == 0 and "it does not answer." in sentence)
    (_, said), _ = told(train_toy, tmp_path / "halves")
    assert "Continuing after round 3 of 6" in said
    told(train_toy, tmp_path / "straight")
    for number in 0, 1:
        halves, straight = (
            dict(np.load(tmp_path / f"{x}/{number}.npz")) for x in ("halves", "straight")
        )
        for name, value in straight.items():
            np.testing.assert_array_equal(value, halves[name], err_msg=name)
