"""The loads for a machine with a GPU; what runs there is rehearsed by `make gpu-loads` itself."""

import os
import subprocess
import tarfile

import nbformat
import pytest

from tools.gpu import loads, rehearsal
from utils.options import ROOT

PACK = """
mkdir -p "$1/whl"
echo first > "$1/tf.0"; echo second > "$1/tf.1"; echo wheel > "$1/whl/x.whl"
echo packed >> "$(dirname "$0")/calls"
"""


@pytest.fixture
def kit(tmp_path, monkeypatch):
    """A kit that packs at once, data of a few bytes, and few files of the project."""
    folder = tmp_path / "kit"
    folder.mkdir()
    for name in loads.KIT_FILES:
        (folder / name).write_text(PACK if name == "pack.sh" else "", encoding="utf-8")
    for name in loads.DATA:
        (tmp_path / name).write_bytes(b"data")
    monkeypatch.setattr(loads, "KIT", folder)
    monkeypatch.setattr(loads, "FOLDER", tmp_path / ".gpu")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    names = "README.md", "notebooks/02_dcgan.ipynb", "outputs/gallery/02_dcgan.gif"
    kept = "outputs/pretrained/squeezenet/SHA256SUMS"
    monkeypatch.setattr(loads, "_tracked", lambda: [*names, kept])
    monkeypatch.setattr(loads, "_place", str)
    return folder


def test_each_load_has_a_piece_and_the_last_one_all_else(kit, capsys):
    first, last = loads.write()
    assert [path.name for path in first.iterdir()] == ["tf.0"]
    project = {"project.tar.xz", "setup.sh", "check.py", "there.sh", "whl", *loads.DATA}
    assert {path.name for path in last.iterdir()} == {"tf.1"} | project
    assert capsys.readouterr().out.count(" MiB, ") == 2
    loads.write()
    assert (kit / "calls").read_text(encoding="utf-8").count("packed") == 1  # it is kept


def test_the_project_travels_without_pictures_and_outputs(kit, tmp_path):
    *_, last = loads.write()
    with tarfile.open(last / "project.tar.xz") as archive:
        archive.extractall(tmp_path / "there", filter="data")
        assert "outputs/gallery/02_dcgan.gif" not in archive.getnames()
        assert "outputs/pretrained/squeezenet/SHA256SUMS" in archive.getnames()
    page = nbformat.read(tmp_path / "there" / "notebooks" / "02_dcgan.ipynb", 4)
    own = nbformat.read(ROOT / "notebooks" / "02_dcgan.ipynb", 4)
    assert [cell.source for cell in page.cells] == [cell.source for cell in own.cells]
    assert not any(cell.outputs for cell in page.cells if cell.cell_type == "code")


def test_what_is_wrong_is_said(kit, tmp_path, monkeypatch):
    monkeypatch.setattr(loads, "LIMIT", 100)
    with pytest.raises(ValueError, match=r"load-1 is larger than 0 MiB"):
        loads.write()
    (tmp_path / "mnist.npz").unlink()
    (kit / "check.py").unlink()
    with pytest.raises(ValueError, match=r"mnist.npz, check.py: not found. Set DATA_DIR and GPU"):
        loads.write()
    for name in "mnist.npz", "kit/check.py":
        (tmp_path / name).write_bytes(b"")
    (kit / "pack.sh").write_text("exit 3", encoding="utf-8")
    for path in (tmp_path / ".gpu").glob("tensorflow-*"):
        path.rename(tmp_path / "old")
    with pytest.raises(ValueError, match=r"pack.sh failed"):
        loads.write()


def test_the_script_has_a_function_for_each_stage_that_it_names():
    text = loads.THERE.read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", loads.THERE], check=True)
    (names,) = [line for line in text.splitlines() if line.startswith("for name in")]
    for name in names.partition(":-")[2].partition("}")[0].split():
        assert f"\n{name}() {{" in text


def test_few_files_come_back_with_every_log(tmp_path):
    """One archive, after each stage: few files can be brought back from that machine."""
    load = tmp_path / "load"
    (load / "whl").mkdir(parents=True)
    (load / "there.sh").write_bytes(loads.THERE.read_bytes())
    (load / "setup.sh").write_text("PYTHONPATH=\n", encoding="utf-8")
    (load / "check.py").write_text("print('right')\n", encoding="utf-8")
    (load / "tf.aa").touch()
    with tarfile.open(load / "project.tar.xz", "w:xz"):
        pass
    out = tmp_path / "out"
    environment = os.environ | {"ROOT": str(tmp_path / "root"), "OUT": str(out)}
    stages = "check", "data"  # the second fails: there is no project
    subprocess.run(["bash", load / "there.sh", *stages], env=environment, check=True)
    assert {path.name for path in out.iterdir()} == {"logs.tar", "times.log"}
    times = (out / "times.log").read_text(encoding="utf-8").splitlines()
    assert [line.partition(",")[0] for line in times] == ["check: status 0", "data: status 1"]
    with tarfile.open(out / "logs.tar") as logs:
        assert logs.extractfile("./check.log").read() == b"right\n"
        assert b"benchmarks" in logs.extractfile("./data.log").read()


def test_the_rehearsal_wants_a_python_that_runs(tmp_path, monkeypatch):
    """A shim of pyenv is found, but runs only where its version is chosen."""
    python = tmp_path / f"python{loads.PYTHON}"
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    python.write_text("#!/bin/sh\necho command not found >&2; exit 127\n", encoding="utf-8")
    python.chmod(0o755)
    with pytest.raises(ValueError, match=r"needs Python 3.12: install it, or set PATH"):
        rehearsal.find_python()
    python.write_text("#!/bin/sh\necho Python 3.12.1\n", encoding="utf-8")
    assert rehearsal.find_python() == str(python)
