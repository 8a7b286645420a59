"""photographs: what lies in a folder or an archive is used correctly or skipped by name."""

import hashlib
import io
import mmap
import pathlib
import resource
import struct
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from utils import photographs


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
    assert list(photographs.find(folder)) == ["a.JPG", "b.png", "deep/er/c.jpeg"]
    assert list(photographs.find(folder, "deep")) == ["deep/er/c.jpeg"]


def test_an_archive_gives_what_its_folder_gives(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("zipped") / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, file.relative_to(folder))
        archive.writestr("__MACOSX/a.JPG", b"")
    assert list(photographs.find(path)) == list(photographs.find(folder))
    np.testing.assert_array_equal(photographs.load(path, 9), photographs.load(folder, 9))


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
    found = np.asarray(photographs.decode(file.getvalue()), int)
    assert found.shape == (16, 16, 3)
    assert np.abs(found - grey[..., None]).max() <= (30 if mode == "P" else 1)


@pytest.mark.fault("image: turned by its camera (EXIF)", "used, upright", lost="nothing")
def test_a_turned_photograph_stands_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    assert photographs.decode(encoded(size=(12, 8), ending="jpeg", exif=exif)).size == (8, 12)


@pytest.mark.fault("image: animated", "its first picture is used", lost="nothing")
def test_of_an_animation_the_first_picture_is_taken():
    frames = [Image.new("RGB", (5, 5), colour) for colour in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    assert photographs.decode(file.getvalue()).getpixel((0, 0)) == (255, 0, 0)


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
    Image.new("RGB", (9, 9)).save(data, "PNG")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", data.getvalue())
        archive.writestr("b.png", data.getvalue() + bytes(2**26))
    assert path.stat().st_size < 10**5
    assert len(photographs.load(path, 8)) == 1
    assert "1 of 2 images skipped: b.png (67,1" in capsys.readouterr().out


@pytest.mark.fault(
    "image: odd name, wrong ending, 1 x 1, gigantic, locked, dead link",
    "used, or skipped by name",
    lost="that image",
)
def test_odd_files_are_used_or_skipped_by_name(tmp_path, monkeypatch, capsys, record_property):
    record_property("tried", 8)
    (tmp_path / "말 사진.png").write_bytes(encoded())
    (tmp_path / "ending.png").write_bytes(encoded(ending="jpeg"))
    (tmp_path / "one pixel.png").write_bytes(encoded(size=(1, 1)))
    (tmp_path / "huge.png").write_bytes(header_of_a_png(30_000, 30_000))
    (tmp_path / "large.png").write_bytes(header_of_a_png(10_000, 10_000))
    (tmp_path / "locked.png").write_bytes(encoded())
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "gone.png")
    read = pathlib.Path.read_bytes

    def read_bytes(path):
        if path.name == "locked.png":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(pathlib.Path, "read_bytes", read_bytes)
    with warnings.catch_warnings(action="ignore"):
        assert photographs.load(tmp_path, 16).shape == (3, 16, 16, 3)
    said = capsys.readouterr().out
    assert "3 of 6 images skipped" in said
    assert "huge.png (Image size (900000000 pixels) exceeds" in said
    assert "large.png (10000 x 10000 pixels are too many)" in said
    assert "locked.png ([Errno 13] Permission denied)" in said


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
        photographs.find(tmp_path / "text.zip")
    with pytest.raises(ValueError, match=r"nowhere cannot be opened"):
        photographs.find(tmp_path / "nowhere")


def mapped(array):
    """Return the map of a file that an array lies in, or None."""
    while array is not None and not isinstance(array, mmap.mmap):
        array = getattr(array, "base", None)
    return array


def test_a_set_lies_in_one_file_and_is_what_its_files_hold(folder, monkeypatch):
    monkeypatch.setattr(photographs, "AT_ONCE", 2)
    images, whole = photographs.load(folder, 16), photographs.originals(folder)
    assert mapped(images)
    assert len({id(mapped(x)) for x in whole.values()}) == 1
    assert mapped(whole["b.png"])
    assert images.names == tuple(whole) == tuple(photographs.find(folder))
    for image, (name, original) in zip(images, whole.items(), strict=True):
        decoded = photographs.decode((folder / name).read_bytes())
        np.testing.assert_array_equal(original, decoded)
        np.testing.assert_array_equal(image, decoded.resize((16, 16), Image.Resampling.BICUBIC))
        assert original.files == hashlib.sha256((folder / name).read_bytes()).hexdigest()


@pytest.mark.fault("temporary folder full", "refused in a sentence", lost="nothing")
def test_a_full_temporary_folder_is_named(folder):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match=r"temporary folder.*File too large.*set TMPDIR"):
            photographs.load(folder, 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
