"""photographs: what lies in a folder or an archive is used correctly or skipped by name."""

import contextlib
import errno
import hashlib
import io
import os
import pathlib
import resource
import struct
import subprocess
import sys
import tarfile
import tempfile
import warnings
import zipfile
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from utils import archives, photographs
from utils.options import ROOT
from utils.topics import superresolution


def encoded(mode="RGB", size=(12, 8), ending="png", **options):
    file = io.BytesIO()
    Image.effect_noise(size, 50).convert(mode).save(file, ending, **options)
    return file.getvalue()


NOTHING_USABLE = pytest.mark.fault(
    "folder with nothing usable", "refused in a sentence", lost="nothing"
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in "b.png", "a.JPG", "deep/er/c.jpeg", ".hidden.png", "notes.txt":
        ending = "jpeg" if "J" in name or "jpeg" in name else "png"
        (tmp_path / name).write_bytes(encoded(ending=ending))
    return tmp_path


def test_finds_images_however_deep_and_leaves_out_the_rest(folder):
    assert list(archives.find(folder)) == ["a.JPG", "b.png", "deep/er/c.jpeg"]
    assert list(archives.find(folder, ["er"])) == ["deep/er/c.jpeg"]
    assert list(archives.find(folder, ["deep"])) == []  # not directly in it


def packed(folder, path):
    """Pack a folder in the way that the archive's name says."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.rglob("*"):
                archive.write(file, file.relative_to(folder))
            archive.writestr("__MACOSX/a.JPG", b"")
    else:
        kind = {".tar": "w", ".tgz": "w:gz", ".xz": "w:xz"}[path.suffix]
        with tarfile.open(path, kind) as archive:
            archive.add(folder, ".")
    return path


@pytest.mark.parametrize("name", ["all.zip", "all.tar", "all.tgz", "all.tar.xz"])
def test_an_archive_gives_what_its_folder_gives(name, folder, tmp_path_factory):
    path = packed(folder, tmp_path_factory.mktemp("packed") / name)
    assert [n.removeprefix("./") for n in archives.find(path)] == list(archives.find(folder))
    found, expected = photographs.load(path, 9), photographs.load(folder, 9)
    np.testing.assert_array_equal(found, expected)
    assert found.files == expected.files


@pytest.mark.fault("archive: cut", "refused in a sentence", lost="nothing")
@pytest.mark.parametrize("name", ["all.zip", "all.tar", "all.tgz", "all.tar.xz"])
def test_a_cut_archive_is_refused(name, folder, tmp_path_factory):
    path = packed(folder, tmp_path_factory.mktemp("packed") / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"cannot be opened.*Replace it|holds no image"):
        photographs.load(path, 9)


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_changed_archive_is_not_taken_for_a_full_disk(kind, folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / f"all.tar.{kind}"
    (folder / "noise.png").write_bytes(np.random.default_rng(0).bytes(300_000))
    with tarfile.open(path, f"w:{kind}") as archive:
        archive.add(folder, ".")
    content = bytearray(path.read_bytes())
    content[-12 if kind == "gz" else len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot be opened.*Replace it"):
        archives.find(path)


def test_a_full_disk_is_not_taken_for_a_changed_archive(folder, tmp_path_factory, monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    path = packed(folder, tmp_path_factory.mktemp("packed") / "all.tgz")
    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    with pytest.raises(OSError, match=r"do not fit into the temporary folder.*No space left"):
        archives.find(path)


@pytest.mark.fault(
    "image: grey, palette, alpha, CMYK, 1-bit, 16-bit",
    "used, with the right colours",
    lost="nothing",
)
@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA", "I;16"])
def test_every_mode_becomes_rgb(mode):
    grey = np.tile(np.linspace(0, 255, 16).astype("uint8"), (16, 1))
    image = Image.fromarray(grey)
    if mode == "I;16":
        image = Image.fromarray(grey.astype("uint16") * 257)
    elif mode == "1":
        grey = np.where(grey < 128, 0, 255).astype("uint8")
        image = Image.fromarray(grey).convert("1")
    else:
        image = image.convert("RGB").convert(mode) if mode in ("CMYK", "P") else image.convert(mode)
    file = io.BytesIO()
    image.save(file, "TIFF" if mode == "CMYK" else "PNG")
    found = np.asarray(photographs.decode(file.getvalue())[0], int)
    assert found.shape == (16, 16, 3)
    assert np.abs(found - grey[..., None]).max() <= (30 if mode == "P" else 1)


@pytest.mark.fault("image: turned by its camera (EXIF)", "used, upright", lost="nothing")
def test_a_turned_photograph_stands_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    assert photographs.decode(encoded(size=(12, 8), ending="jpeg", exif=exif))[0].size == (8, 12)


@pytest.mark.fault("image: animated", "its first picture is used", lost="nothing")
def test_of_an_animation_the_first_picture_is_taken():
    frames = [Image.new("RGB", (5, 5), colour) for colour in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    assert photographs.decode(file.getvalue())[0].getpixel((0, 0)) == (255, 0, 0)


def test_a_single_image_will_do(folder):
    assert photographs.load(folder / "a.JPG", 16).shape == (1, 16, 16, 3)


@pytest.mark.fault(
    "image: cut, empty, or text",
    "skipped by name, with a count",
    lost="that image",
)
def test_broken_images_are_named_and_skipped(folder, capsys, record_property):
    record_property("tried", 3)
    whole = encoded(size=(300, 300), ending="jpeg")
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_bytes(b"not an image")
    assert photographs.load(folder, 16).shape == (3, 16, 16, 3)
    said = capsys.readouterr().out
    assert "3 of 6 images skipped" in said
    assert all(name in said for name in ("cut.jpg", "empty.png", "text.png"))


def header_of_a_png(width, height):
    """Return a PNG that claims to be large, and ends there."""
    fields = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    check = struct.pack(">I", zlib.crc32(fields))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + fields + check + b"\0\0\1\0IDAT"


@pytest.mark.fault(
    "archive: a file that would unpack to 65 MB", "skipped by name, unread", lost="that image"
)
def test_a_file_that_grows_is_not_unpacked(tmp_path, capsys):
    path, data = tmp_path / "all.zip", io.BytesIO()
    Image.new("RGB", (9, 9), "white").save(data, "PNG")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", data.getvalue())
        archive.writestr("b.png", data.getvalue() + bytes(2**26))
    assert path.stat().st_size < 10**5
    assert len(photographs.load(path, 8)) == 1
    assert "1 of 2 images skipped: b.png (67,1" in capsys.readouterr().out


@pytest.mark.fault(
    "image: odd name, wrong ending, 1 x 1, gigantic",
    "used, or skipped by name",
    lost="that image",
)
def test_odd_files_are_used_or_skipped_by_name(tmp_path, capsys, record_property):
    record_property("tried", 6)
    (tmp_path / "말 사진.png").write_bytes(encoded())
    (tmp_path / "ending.png").write_bytes(encoded(ending="jpeg"))
    (tmp_path / "one pixel.png").write_bytes(encoded(size=(1, 1)))
    (tmp_path / "huge.png").write_bytes(header_of_a_png(30_000, 30_000))
    (tmp_path / "large.png").write_bytes(header_of_a_png(10_000, 10_000))
    (tmp_path / "folder.png").mkdir()
    with warnings.catch_warnings(action="ignore"):
        assert photographs.load(tmp_path, 16).shape == (3, 16, 16, 3)
    said = capsys.readouterr().out
    assert "2 of 5 images skipped" in said
    assert "huge.png (Image size (900000000 pixels) exceeds" in said
    assert "large.png (10000 x 10000 pixels are too many)" in said


@pytest.mark.fault(
    "photographs: a file or folder locked, a dead link, too many open files, a disk that fails",
    "stops in a sentence; nothing is left out in silence",
    lost="nothing",
)
@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE, errno.EIO, errno.ENOENT])
def test_a_file_that_cannot_be_read_is_an_error(number, folder, monkeypatch):
    read = pathlib.Path.read_bytes

    def read_bytes(path):
        if path.name == "b.png":
            raise OSError(number, os.strerror(number))
        return read(path)

    monkeypatch.setattr(pathlib.Path, "read_bytes", read_bytes)
    for load in (lambda: photographs.load(folder, 8), lambda: photographs.originals(folder)):
        with pytest.raises(OSError, match=rf"b.png cannot be read \({os.strerror(number)}\)"):
            load()


def test_a_folder_that_cannot_be_read_is_an_error(folder, monkeypatch):
    scan = os.scandir

    def scandir(path):
        if str(path).endswith("deep"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(PermissionError, match=r"Permission denied.*deep"):
        photographs.load(folder, 8)


def test_a_dead_link_is_an_error_and_a_linked_folder_is_read(folder, tmp_path_factory):
    home = tmp_path_factory.mktemp("links")
    (home / "all").symlink_to(folder)
    assert len(photographs.load(home, 8)) == 3
    (home / "gone.png").symlink_to(home / "nowhere.png")
    with pytest.raises(OSError, match=r"gone.png cannot be read"):
        photographs.load(home, 8)


def png_of_16_bits(values):
    """Return a PNG of colours, which Pillow cannot write. Values: uint16, (height, width, 3)."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


RAMP = np.linspace(0, 1, 256).reshape(16, 16)  # white in its last corner


def stored(bits, brightest, colours=False):
    """Return a file whose values go from 0 to one of many that its kind has."""
    kind = {8: "uint8", 15: "int16", 16: "uint16", 31: "int32"}[bits]
    values = np.rint(RAMP * brightest).astype(kind)
    if colours:
        return png_of_16_bits(np.repeat(values[..., None], 3, axis=2))
    file = io.BytesIO()
    tifffile.imwrite(file, values)
    return file.getvalue()


@pytest.mark.parametrize(
    ("bits", "colours"), [(8, False), (15, False), (16, False), (16, True), (31, False)], ids=str
)
def test_values_are_scaled_by_the_range_of_their_kind(bits, colours, tmp_path):
    most = 2**bits - 1
    (tmp_path / "a.tif").write_bytes(stored(bits, most, colours))
    found = photographs.originals(tmp_path)["a.tif"]
    assert np.abs(found[..., 0] - 255 * RAMP).max() <= 1


@pytest.mark.fault(
    "photographs: 12 bits in files of 16, 0 to 255 in int32 or uint16, class numbers, floats",
    "refused; their range is named",
    lost="nothing",
)
@pytest.mark.parametrize(
    ("bits", "brightest", "colours", "words"),
    [
        (16, 4095, False, "16 bits hold no value of 4,096 or more, of 65,536"),
        (16, 4095, True, "16 bits hold no value of 4,096 or more, of 65,536"),
        (16, 255, False, "16 bits hold no value of 256 or more, of 65,536"),
        (31, 255, False, "31 bits hold no value of 8,388,608 or more, of 2,147,483,648"),
        (8, 20, False, "8 bits hold no value of 21 or more, of 256"),
    ],
)
@pytest.mark.parametrize("others", [False, True], ids=["alone", "beside images of 8 bits"])
def test_a_set_that_would_be_black_is_refused(bits, brightest, colours, words, others, tmp_path):
    for name in "a.tif", "b.tif":
        (tmp_path / name).write_bytes(stored(bits, brightest, colours))
    if others and bits > 8:
        (tmp_path / "bright.png").write_bytes(encoded())
    for load in (lambda: photographs.load(tmp_path, 8), lambda: photographs.originals(tmp_path)):
        with pytest.raises(ValueError, match=f"{words}.*they would be black"):
            load()


def test_a_dark_photograph_among_others_is_used_and_named(tmp_path, capsys):
    (tmp_path / "night.tif").write_bytes(stored(16, 4095))
    (tmp_path / "day.tif").write_bytes(stored(16, 65535))
    assert len(photographs.load(tmp_path, 8)) == 2
    assert "1 images are nearly black: night.tif" in capsys.readouterr().out


def test_one_bright_pixel_does_not_hide_that_a_set_is_black(tmp_path):
    for i in range(4):
        (tmp_path / f"{i}.tif").write_bytes(stored(16, 4095 if i else 65535))
    with pytest.raises(ValueError, match="16 bits hold no value of 4,096 or more"):
        photographs.load(tmp_path, 8)


def test_white_as_zero_is_turned_around_with_16_bits_too(tmp_path):
    for kind, most in ("uint8", 255), ("uint16", 65535):
        values = np.rint(RAMP * most).astype(kind)
        tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
        found = photographs.originals(tmp_path)["a.tif"]
        assert np.abs(found[..., 0] - 255 * (1 - RAMP)).max() <= 1


def test_a_drawing_in_the_alpha_channel_stands_on_white(tmp_path):
    pixels = np.zeros((8, 8, 4), "uint8")  # black, where one sees it
    pixels[2:6, 2:6, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "icon.png")
    found = photographs.originals(tmp_path)["icon.png"]
    expected = 255 - pixels[..., 3:] * np.ones(3, "uint8")
    np.testing.assert_array_equal(found, expected)


def test_links_in_a_tar_are_followed_and_dead_ones_named(folder, tmp_path_factory):
    os.link(folder / "a.JPG", folder / "second.jpg")
    (folder / "third.jpg").symlink_to("a.JPG")
    (folder / "deep" / "fourth.png").symlink_to("../b.png")
    path = packed(folder, tmp_path_factory.mktemp("packed") / "all.tar")
    assert len(photographs.load(path, 8)) == 6
    (folder / "gone.png").symlink_to("nowhere.png")
    with pytest.raises(OSError, match=r"gone.png cannot be read \(a link to nowhere.png"):
        photographs.load(packed(folder, path), 8)


def test_a_link_to_where_one_was_is_not_followed(folder):
    (folder / "deep" / "up").symlink_to(folder)
    assert len(photographs.load(folder, 8)) == 3


def test_backslashes_of_an_archive_are_folders(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "old.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in "pets\\cat\\0.png", "pets\\dog\\0.png":
            entry = zipfile.ZipInfo("x")
            entry.filename = name
            archive.writestr(entry, encoded())
    assert list(archives.find(path)) == ["pets/cat/0.png", "pets/dog/0.png"]


def test_files_that_are_no_images_by_their_ending_are_counted(folder, capsys):
    (folder / "cats.zip").write_bytes(b"")
    (folder / "__cat").mkdir()
    for name in "__cat/d.jfif", "e.jpe":
        (folder / name).write_bytes(encoded(ending="jpeg"))
    assert len(photographs.load(folder, 8)) == 5
    assert "2 other files left out, such as cats.zip" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_named(folder):
    with pytest.raises(ValueError, match="trainA holds no image"):
        photographs.load(folder, 8, ["trainA"])


def test_floats_and_negative_values_are_refused_by_name(tmp_path, capsys):
    Image.fromarray(RAMP.astype("float32")).save(tmp_path / "floats.tif")
    Image.fromarray(np.int32(RAMP * 9 - 5)).save(tmp_path / "negative.tif")
    (tmp_path / "a.png").write_bytes(encoded())
    assert len(photographs.load(tmp_path, 8)) == 1
    said = capsys.readouterr().out
    assert "floats.tif (floats, whose range is not known; save it with 8 or 16 bits)" in said
    assert "negative.tif (negative or too large values; save it with 8 or 16 bits)" in said


def test_an_image_of_one_value_is_named(folder, capsys):
    Image.new("RGB", (9, 9), "white").save(folder / "blank.png")
    assert len(photographs.load(folder, 8)) == 4
    assert "1 images have one value only: blank.png" in capsys.readouterr().out


def test_height_and_width_may_differ(folder):
    assert photographs.load(folder, (8, 12)).shape == (3, 8, 12, 3)
    with pytest.raises(ValueError, match="size=0: take a whole number"):
        photographs.load(folder, (8, 0))
    with pytest.raises(ValueError, match="take one number, or height and width"):
        photographs.load(folder, (8, 8, 3))


@NOTHING_USABLE
def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="holds no image that can be used"):
        photographs.load(tmp_path, 16)


@NOTHING_USABLE
def test_nothing_usable_is_an_error(tmp_path, record_property):
    record_property("tried", 3)
    (tmp_path / "text.png").write_bytes(b"not an image")
    with pytest.raises(ValueError, match="holds no image that can be used"):
        photographs.load(tmp_path, 16)
    (tmp_path / "text.zip").write_bytes(b"not an archive")
    with pytest.raises(ValueError, match=r"cannot be opened.*Replace it"):
        archives.find(tmp_path / "text.zip")
    with pytest.raises(ValueError, match=r"nowhere cannot be opened"):
        archives.find(tmp_path / "nowhere")


def test_pixels_know_their_files_and_what_is_made_of_them_does_not(folder):
    images = photographs.load(folder, 16)
    assert images.names == ("a.JPG", "b.png", "deep/er/c.jpeg")
    for other in (images[:2], images + 1, images.copy(), np.asarray(images)):
        assert getattr(other, "files", "") == ""
    found = photographs.originals(folder)
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in found}
    assert {name: image.files for name, image in found.items()} == hashes
    assert images.files == hashlib.sha256("".join(hashes.values()).encode()).hexdigest()


def test_greyscale_is_the_luma_of_the_colours(folder):
    colours, grey = photographs.load(folder, 16), photographs.load(folder, 16, grey=True)
    expected = [np.asarray(Image.fromarray(np.asarray(x)).convert("L")) for x in colours]
    np.testing.assert_array_equal(grey[..., 0], expected)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """1,100 small photographs of two sizes."""
    folder = tmp_path_factory.mktemp("many")
    for i in range(1100):
        size = (9, 12 if i % 2 else 14)
        Image.new("L", size, i % 251).save(folder / f"{i:04d}.bmp")
    return folder


@contextlib.contextmanager
def limited(what, size):
    before = resource.getrlimit(what)
    resource.setrlimit(what, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(what, before)


def open_files():
    return len(list(pathlib.Path("/proc/self/fd").iterdir()))


@pytest.mark.fault(
    "1,100 photographs, and 64 more files may be opened", "used; one descriptor", lost="nothing"
)
def test_a_thousand_photographs_need_one_open_file(many):
    before = open_files()
    with limited(resource.RLIMIT_NOFILE, before + 64):
        found = photographs.originals(many)
        assert open_files() <= before + 1
        images = photographs.load(many, 8)
        assert open_files() <= before + 2
        assert len(found) == len(images) == 1100
        for i, (name, photo) in enumerate(found.items()):
            assert name == f"{i:04d}.bmp"
            assert photo.shape == (12 if i % 2 else 14, 9, 3)
            assert (photo == i % 251).all()
            assert (images[i] == i % 251).all()


@pytest.mark.fault(
    "temporary folder full while photographs are decoded", "stops in a sentence", lost="nothing"
)
@pytest.mark.parametrize("size", [1, 100_000])
def test_a_full_temporary_folder_is_named(many, size, capsys):
    for load in (lambda: photographs.load(many, 32), lambda: photographs.originals(many)):
        with (
            limited(resource.RLIMIT_FSIZE, size),
            pytest.raises(OSError, match=r"do not fit into the temporary folder.*set TMPDIR"),
        ):
            load()


def test_a_full_temporary_folder_gets_no_standin(many, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(many.parent))
    (many.parent / "Set5").symlink_to(many)
    monkeypatch.setattr(photographs.tempfile, "TemporaryFile", no_folder)
    with pytest.raises(OSError, match=r"do not fit into the temporary folder.*No usable temporary"):
        superresolution.benchmark("Set5")


def no_folder():
    raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")


def test_photographs_take_no_memory(tmp_path):
    """Their pixels are pages of a file, which the system can take back."""
    rng = np.random.default_rng(0)
    for i in range(40):
        pixels = rng.integers(0, 256, (1000, 1000, 3)).astype("uint8")
        Image.fromarray(pixels).save(tmp_path / f"{i}.bmp")
    script = (
        "from pathlib import Path\nfrom utils import photographs\n"
        "status = Path('/proc/self/status')\n"
        "own = lambda: int(status.read_text().split('RssAnon:')[1].split()[0])\n"
        f"photographs.load({str(tmp_path / '0.bmp')!r}, 1000)\nbefore = own()\n"
        f"found = photographs.originals({str(tmp_path)!r})\n"
        f"images = photographs.load({str(tmp_path)!r}, 1000)\n"
        "sum(int(x.sum()) for x in found.values()), int(images[::7].sum())\n"
        "print((own() - before) // 1000)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 120  # MB, for 16 at once; the pixels are 240


def test_files_of_several_pictures_and_dark_ones_with_a_bright_bar_are_named(tmp_path, capsys):
    frames = [Image.effect_noise((40, 40), 50 + i).convert("RGB") for i in range(3)]
    frames[0].save(tmp_path / "stack.tif", save_all=True, append_images=frames[1:])
    scan = np.full((40, 40), 2000, "uint16")
    scan[39, :9] = 65535  # a scale bar
    tifffile.imwrite(tmp_path / "scan.tif", scan)
    assert len(photographs.load(tmp_path, 8)) == 2
    said = capsys.readouterr().out
    assert "1 files hold several pictures, and the first is used: stack.tif" in said
    assert "1 images are nearly black: scan.tif" in said


def test_a_limit_of_pixels_that_was_taken_away_hinders_nothing(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert len(photographs.load(folder, 8)) == 3
