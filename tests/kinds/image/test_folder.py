import dataclasses
import gc
import io
import os
import tarfile
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.image.decoding import SUFFIXES
from vae_pipeline.kinds.listing import list_pictures
from vae_pipeline.kinds.parts import ImageSource, Part
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.splitting import _Subset, split
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.writing import write
from vae_pipeline.recipe.data import FolderData
from vae_pipeline.recipe.split import SplitRule
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import filled_folder

Array = npt.NDArray[Any]
NOISE = np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8)


def png(pixels: Array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


# In the order of their names.
FILES = {f"{'ab'[index // 3]}/{index}.png": png(NOISE[index]) for index in range(6)}


def as_folder(path: Path, files: dict[str, bytes]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def as_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # of 1980: by a name alone it would be of now
    return path


def as_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def as_tar_gz(path: Path, files: dict[str, bytes]) -> Path:
    return as_tar(path, files, "w:gz")


def opened(train: Path, **options: Any) -> ImageSource:
    plain = {"shape": (1, 8, 8), "resize": "none", "labels": "none", "corrupt": "fail", "valid": 0.1, "test": 0.2}
    data = FolderData(kind="folder", train=str(train), **(plain | options))
    return open_source(data, Finder(Path("nowhere")), seed=0)


def rows(part: Part) -> Array:
    return part.rows[np.arange(len(part.rows))]


def refusal(train: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        rows(opened(train, **options).train)
    assert str(train) in str(caught.value)
    return str(caught.value)


packings = pytest.mark.parametrize("pack", [as_folder, as_zip, as_tar, as_tar_gz])
archives = pytest.mark.parametrize("pack", [as_zip, as_tar, as_tar_gz])


@packings
def test_pictures_are_read_by_name(tmp_path: Path, pack: Any) -> None:
    source = opened(pack(tmp_path / "x", FILES))
    np.testing.assert_array_equal(rows(source.train), NOISE[:, None])
    np.testing.assert_array_equal(source.train.rows[np.array([4, 1])], NOISE[[4, 1], None])
    assert (source.classes, source.train.labels, source.dropped) == ((), None, {})
    assert (source.low, source.high, source.dtype) == (0, 255, "uint8")


@packings
def test_folders_are_classes(tmp_path: Path, pack: Any) -> None:
    source = opened(pack(tmp_path / "x", {f"./{name}": content for name, content in FILES.items()}), labels="folders")
    assert source.classes == ("a", "b")
    assert source.train.labels is not None
    assert source.train.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_classes_are_those_of_all_parts(tmp_path: Path) -> None:
    train = as_folder(tmp_path / "train", {"cat/0.png": png(NOISE[0]), "dog/1.png": png(NOISE[1])})
    test = as_zip(tmp_path / "test.zip", {"ant/2.png": png(NOISE[2]), "deep/dog/3.png": png(NOISE[3])})
    source = opened(train, labels="folders", test=str(test))
    assert isinstance(source.test, Part)
    assert source.classes == ("ant", "cat", "dog")
    assert source.train.labels is not None
    assert source.test.labels is not None
    assert (source.train.labels.tolist(), source.test.labels.tolist()) == ([1, 2], [0, 2])
    np.testing.assert_array_equal(rows(source.test), NOISE[2:4, None])
    assert set(source.origins) == {str(train), str(test)}


@packings
def test_other_files_are_counted_and_hidden_ones_passed_over(tmp_path: Path, pack: Any) -> None:
    others = {
        "a/notes.txt": b"1",
        "b/more.txt": b"2",
        "LICENSE": b"3",
        "a/._0.png": b"of a Mac",
        ".cache/a/9.png": png(NOISE[0]),
    }
    source = opened(pack(tmp_path / "x", FILES | others), labels="folders")
    assert len(source.train.rows) == 6
    assert source.classes == ("a", "b")
    assert source.dropped == {"not a picture (.txt)": 2, "not a picture (no suffix)": 1}


def test_suffixes_in_capitals(tmp_path: Path) -> None:
    jpeg = io.BytesIO()
    Image.fromarray(NOISE[0]).save(jpeg, "JPEG")
    files = {"0.PNG": png(NOISE[0]), "1.JPG": jpeg.getvalue(), "2.Jpeg": jpeg.getvalue()}
    assert len(rows(opened(as_folder(tmp_path / "x", files)).train)) == 3


@packings
def test_nothing_inside(tmp_path: Path, pack: Any) -> None:
    assert refusal(pack(tmp_path / "x", {})).endswith(f"holds no pictures ({', '.join(SUFFIXES)})")


@packings
def test_no_pictures_inside(tmp_path: Path, pack: Any) -> None:
    text = refusal(pack(tmp_path / "x", {"a.txt": b"1", "b.csv": b"2"}))
    assert text.endswith("); it holds 2 other files: (.csv), (.txt)")


def test_absent_place(tmp_path: Path) -> None:
    assert "isn't there" in refusal(tmp_path / "absent")


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8bno gzip"])
def test_file_that_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    assert refusal(tmp_path / "x.zip").endswith("is neither a folder nor a whole .zip or .tar: make or fetch it again")


@archives
def test_truncated_archive(tmp_path: Path, pack: Any) -> None:
    path = pack(tmp_path / "x", {f"{index}.png": png(NOISE[index]) for index in range(6)})
    whole = path.read_bytes()
    # In a plain .tar of two blocks a picture: between two of them, in a header, and before the blocks of zeros.
    cuts = (1, 200, 2048, 2148, 6143, 6144) if pack is as_tar else (1, 200, len(whole) // 2, len(whole) - 1)
    for length in cuts:
        path.write_bytes(whole[:length])
        text = refusal(path)
        assert "whole .zip or .tar" in text or "truncated or corrupt archive" in text


@pytest.mark.parametrize("place", ["PK\x01\x02", "PK\x03\x04"])
def test_corrupt_zip(tmp_path: Path, place: str) -> None:
    path = as_zip(tmp_path / "x.zip", FILES)
    path.write_bytes(path.read_bytes().replace(place.encode(), b"PKxx"))
    assert "truncated or corrupt archive" in refusal(path)


def test_corrupt_header_of_a_tar(tmp_path: Path) -> None:
    path = as_tar(tmp_path / "x.tar", FILES)
    path.write_bytes(path.read_bytes().replace(b"b/3.png", b"c/3.png", 1))
    assert "is a truncated or corrupt archive (it breaks off at byte 3072)" in refusal(path)


def test_corrupt_tar_gz(tmp_path: Path) -> None:
    path = as_tar_gz(tmp_path / "x.tar.gz", FILES)
    content = bytearray(path.read_bytes())
    content[-5] ^= 0xFF  # of the checksum
    path.write_bytes(content)
    assert "truncated or corrupt archive" in refusal(path)


def test_corrupt_member_of_a_zip(tmp_path: Path) -> None:
    path = as_zip(tmp_path / "x.zip", FILES)
    changed = bytearray(path.read_bytes())
    changed[changed.index(b"b/5.png") + 30] ^= 0xFF
    path.write_bytes(changed)
    assert "is a truncated or corrupt archive at b/5.png" in refusal(path)
    source = opened(path, corrupt="drop")
    np.testing.assert_array_equal(rows(source.train), NOISE[:5, None])
    assert source.dropped == {"truncated or corrupt picture": 1}


@archives
@pytest.mark.parametrize("name", ["/etc/0.png", "../0.png", "a/../../0.png", "..\\0.png", "C:/0.png"])
def test_paths_out_of_the_archive_are_refused(tmp_path: Path, pack: Any, name: str) -> None:
    text = refusal(pack(tmp_path / "x", FILES | {name: png(NOISE[0])}))
    assert f"holds the path {name!r}, which leads outside the archive: it is refused" in text
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_of_links_in_a_tar_only_second_names_are_read(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(png(NOISE[0]))
    path = as_tar(tmp_path / "x.tar", {"1.png": png(NOISE[1])})
    with tarfile.open(path, "a") as archive:
        for name, kind, target in (
            ("0.png", tarfile.SYMTYPE, str(tmp_path / "secret.png")),
            ("2.png", tarfile.LNKTYPE, "1.png"),
            ("3.png", tarfile.CHRTYPE, ""),
            ("4.png", tarfile.FIFOTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    source = opened(path)
    np.testing.assert_array_equal(rows(source.train), NOISE[[1, 1], None])
    assert source.dropped == {"link in an archive": 1, "no regular file": 2}


def test_a_second_name_of_what_a_tar_doesnt_hold(tmp_path: Path) -> None:
    path = as_tar(tmp_path / "x.tar", {"1.png": png(NOISE[1])})
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("2.png")
        link.type, link.linkname = tarfile.LNKTYPE, "absent.png"
        archive.addfile(link)
    assert "is a truncated or corrupt archive at 2.png" in refusal(path)


def test_links_in_a_zip_are_counted(tmp_path: Path) -> None:
    path = as_zip(tmp_path / "x.zip", FILES)
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("b/9.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "../a/0.png")
    source = opened(path)
    assert len(rows(source.train)) == 6
    assert source.dropped == {"link in an archive": 1}


def test_backslashes_in_a_zip_part_folders(tmp_path: Path) -> None:
    path = as_zip(tmp_path / "x.zip", {name.replace("/", "\\"): content for name, content in FILES.items()})
    source = opened(path, labels="folders")
    assert source.classes == ("a", "b")
    np.testing.assert_array_equal(rows(source.train), NOISE[:, None])


def test_an_encrypted_zip(tmp_path: Path) -> None:
    path = as_zip(tmp_path / "x.zip", FILES)
    content = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(mark, at + 1)
    path.write_bytes(content)
    assert refusal(path, corrupt="drop").endswith("is encrypted: unpack it with its password, and name the folder")


@packings
def test_what_systems_leave_beside_pictures_is_passed_over(tmp_path: Path, pack: Any) -> None:
    litter = dict.fromkeys(("__MACOSX/a/._0.png", "__MACOSX/a/0.png", "a/@eaDir/0.png/S.png"), FILES["a/0.png"])
    source = opened(pack(tmp_path / "x", FILES | litter | {"a/Thumbs.db": b"", "b/desktop.ini": b"", ".DS_Store": b""}))
    assert (len(source.train.rows), source.dropped) == (6, {})


def test_linked_folders_and_files_are_read_once(tmp_path: Path) -> None:
    place = as_folder(tmp_path / "x", FILES)
    elsewhere = as_folder(tmp_path / "elsewhere", {"deep/9.png": png(NOISE[0])})
    (place / "c").symlink_to(elsewhere)
    (place / "a" / "z.png").symlink_to("../b/5.png")
    (place / "again").symlink_to("a")
    (place / "a" / "up").symlink_to("..")
    (elsewhere / "deep" / "round").symlink_to(elsewhere)
    (place / "out").symlink_to("/")
    source = opened(place, labels="folders")
    assert source.classes == ("a", "b", "deep")
    assert len(rows(source.train)) == 8
    assert source.dropped == {"folder that is linked again": 4}


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    place = as_folder(tmp_path / "x", FILES)
    (place / "c").symlink_to("../absent")
    (place / "a" / "8.png").symlink_to("gone.png")
    (place / "a" / "round.png").symlink_to("round.png")
    assert "a/8.png is a link that leads nowhere, one of 3: mend them, or set data.corrupt to drop" in refusal(place)
    source = opened(place, corrupt="drop")
    assert (len(rows(source.train)), source.dropped) == (6, {"link that leads nowhere": 3})


def test_classes_and_files_whose_names_arent_utf_8(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path) + b"/x"
    for name in (b"/\xff", b"/\xfe", "/é".encode()):
        as_folder(Path(os.fsdecode(root + name)), {"0.png": png(NOISE[0])})
    (Path(os.fsdecode(root + b"/\xff")) / os.fsdecode(b"a.\xff")).write_bytes(b"")
    source = opened(tmp_path / "x", labels="folders")
    assert source.classes == ("\\xfe", "\\xff", "é")
    with filled_folder(tmp_path / "out") as folder:
        write(dataclasses.replace(source, valid=0.0, test=source.train), folder, seed=0)
    prepared = Prepared.open(tmp_path / "out")
    assert prepared.spec.classes == source.classes
    assert prepared.card["dropped"] == {"not a picture (.\\xff)": 1}


def test_two_forms_of_one_name_are_one_class(tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]  # type: ignore[arg-type]
    source = opened(as_folder(tmp_path / "x", {f"{name}/0.png": png(NOISE[0]) for name in names}), labels="folders")
    assert source.classes == (names[0],)
    assert (len(source.train.rows), "2 folders of" in source.notes[0]) == (2, True)


@packings
def test_folders_of_one_name_are_said_or_kept_apart(tmp_path: Path, pack: Any) -> None:
    path = pack(tmp_path / "x", {f"root/{one}/{two}/0.png": png(NOISE[0]) for one in "xyz" for two in "ab"})
    merged = opened(path, labels="folders")
    assert merged.classes == ("a", "b")
    assert merged.notes[0].startswith(f"6 folders of {path} are 2 classes, as those of one name are one; labels: paths")
    apart = opened(path, labels="paths")
    assert (apart.classes, apart.notes) == (("x/a", "x/b", "y/a", "y/b", "z/a", "z/b"), ())
    assert apart.train.labels is not None
    assert apart.train.labels.tolist() == [0, 1, 2, 3, 4, 5]


def deep(path: Path, most: int) -> Path:
    values = np.linspace(0, most, 64).reshape(8, 8).astype(np.uint16)
    return as_folder(path, {f"{index}.png": png(values // (index + 1)) for index in range(3)})


def test_dark_greys_of_16_bits_fill_the_range_and_that_is_said(tmp_path: Path) -> None:
    source = opened(deep(tmp_path / "x", 199))
    assert (source.levels, int(rows(source.train).max())) == ((0, 200), 254)
    (note,) = source.notes
    assert note.startswith("greys of over 8 bits hold values in [0, 200), which became 0 to 255")
    told = opened(deep(tmp_path / "x", 199), depth=8)
    assert (told.levels, told.notes, int(rows(told.train).max())) == ((0, 256), (), 199)
    full = rows(opened(deep(tmp_path / "y", 65535)).train)[0, 0]
    np.testing.assert_array_equal(full, np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16) >> 8)


def test_a_bright_pixel_of_one_picture_that_leaves_the_others_few_levels_is_named(tmp_path: Path) -> None:
    """Without it 30 of 300 greys were spread; the message says why all pictures became equal, too."""
    draw = np.random.default_rng(0)
    pictures = [draw.integers(100, 130, (8, 8)).astype(np.uint16) for _ in range(40)]
    pictures[7][0, 0] = 60_000
    source = opened(as_folder(tmp_path / "x", {f"{place:02}.png": png(each) for place, each in enumerate(pictures)}))
    assert "under 32 levels of 256" in source.notes[1] and "07.png, whose greys reach 60000" in source.notes[1]
    together = SplitRule(size="exact", duplicates="together")
    with filled_folder(tmp_path / "out") as folder, pytest.raises(DataError, match=r"2 can be parted.*07\.png"):
        write(dataclasses.replace(source, valid=0.2, test=0.2, split=together), folder, seed=0)


def test_a_depth_that_is_too_small(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data.depth says 8 bits, but greys hold values up to 4095: set it to 12"):
        opened(deep(tmp_path / "x", 4095), depth=8)


@pytest.mark.parametrize(("value", "said"), [(1, True), (200, False)])
def test_values_that_fill_little_of_the_range_are_said(tmp_path: Path, value: int, said: bool) -> None:
    picture = png((NOISE[0] > 99) * np.uint8(value))
    source = opened(as_folder(tmp_path / "x", {f"{index}.png": picture for index in range(3)}))
    with filled_folder(tmp_path / "out") as folder:
        write(dataclasses.replace(source, valid=0.0, test=source.train), folder, seed=0)
    notes = Prepared.open(tmp_path / "out").card["notes"]
    assert any("a small part of the range [0, 255]" in note for note in notes) is said


@archives
def test_archives_are_closed(tmp_path: Path, pack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    missed: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", lambda problem: missed.append(problem.exc_value))
    path = pack(tmp_path / "x", FILES)
    rows(opened(path, corrupt="drop").train)
    refusal(pack(tmp_path / "y", {"../0.png": b""}))
    gc.collect()
    assert missed == []


@packings
def test_mixed_sizes(tmp_path: Path, pack: Any) -> None:
    path = pack(tmp_path / "x", FILES | {"c/odd.png": png(NOISE[0, :4])})
    text = refusal(path)
    assert text.startswith(f"{path}/c/odd.png is 8x4 pixels, but 8x8 (width x height) are wanted: ")
    assert text.endswith("set resize to stretch, crop or pad, or give pictures of that size")
    for resize in ("stretch", "crop", "pad"):
        found = rows(opened(path, resize=resize).train)
        assert found.shape == (7, 1, 8, 8)
        np.testing.assert_array_equal(found[:6], NOISE[:, None])


def test_colour(tmp_path: Path) -> None:
    colours = np.stack([NOISE[0], NOISE[1], NOISE[2]], axis=-1)
    found = rows(opened(as_folder(tmp_path / "x", {"0.png": png(colours)}), shape=(3, 8, 8)).train)
    np.testing.assert_array_equal(found[0], NOISE[:3])


@packings
@pytest.mark.parametrize("bad", [b"", b"\x89PNG", FILES["a/0.png"][:60]])
def test_truncated_picture(tmp_path: Path, pack: Any, bad: bytes) -> None:
    path = pack(tmp_path / "x", FILES | {"b/9.png": bad})
    assert f"{path}/b/9.png is a truncated or corrupt picture" in refusal(path)
    source = opened(path, corrupt="drop", labels="folders")
    np.testing.assert_array_equal(rows(source.train), NOISE[:, None])
    assert source.train.labels is not None
    assert source.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert source.dropped == {"truncated or corrupt picture": 1}


def test_all_pictures_corrupt(tmp_path: Path) -> None:
    path = as_folder(tmp_path / "x", {"0.png": b"1", "1.png": b"2"})
    assert refusal(path, corrupt="drop").startswith("every picture in")


def test_another_size_isnt_dropped_as_corrupt(tmp_path: Path) -> None:
    path = as_folder(tmp_path / "corrupt", FILES | {"corrupt.png": png(NOISE[0, :4])})
    assert "corrupt.png is 8x4 pixels" in refusal(path, corrupt="drop")


def test_picture_that_vanished(tmp_path: Path) -> None:
    listing = list_pictures(as_folder(tmp_path / "x", FILES))
    (tmp_path / "x" / "b" / "4.png").unlink()
    with pytest.raises(DataError, match=r"can't read .*b/4\.png: no such file"):
        listing.read("b/4.png")
    with pytest.raises(DataError, match=r"can't read .*b/4\.png: no such file"):
        listing.stamp(listing.names)


@packings
def test_digest_follows_the_content(tmp_path: Path, pack: Any) -> None:
    digests = []
    for name, files in (("x", FILES), ("y", FILES), ("z", FILES | {"a/0.png": png(NOISE[5])})):
        (digest,) = opened(pack(tmp_path / name, files)).origins.values()
        digests.append(digest)
    assert digests[0] != digests[2]
    assert pack is as_tar_gz or digests[0] == digests[1]  # gzip writes the name and the time into its head


@packings
def test_prepared_folder_and_its_card(tmp_path: Path, pack: Any) -> None:
    files = {f"{'ab'[index % 2]}/{index:02}.png": png(NOISE[index % 6]) for index in range(60)}
    source = opened(pack(tmp_path / "x", files | {"a/99.png": b"bad", "a/notes.txt": b""}), corrupt="drop")
    with filled_folder(tmp_path / "out") as folder:
        write(source, folder, seed=0)
    data = Prepared.open(tmp_path / "out")
    assert sum(data.card["examples"].values()) == 60
    assert data.card["dropped"] == {"truncated or corrupt picture": 1, "not a picture (.txt)": 1}
    known = {image.tobytes() for image in NOISE}
    assert {image.tobytes() for image in data.train.x[:]} <= known


@packings
def test_bad_picture_leaves_the_earlier_folder(tmp_path: Path, pack: Any) -> None:
    old = as_folder(tmp_path / "out", {"spec.json": b"kept"}) / "spec.json"
    path = pack(tmp_path / "x", FILES | {"b/9.png": b"bad"})

    def prepare() -> None:
        with filled_folder(tmp_path / "out") as folder:
            write(opened(path, valid=0.0, test=0.3), folder, seed=0)

    with pytest.raises(DataError, match=r"b/9\.png is a truncated or corrupt picture"):
        prepare()
    assert list((tmp_path / "out").iterdir()) == [old]
    assert {path.name for path in tmp_path.iterdir()} == {"out", "x"}


def test_a_picture_added_moves_no_other(tmp_path: Path) -> None:
    place = as_folder(tmp_path / "x", {f"{index:03}.png": png(NOISE[0]) for index in range(60)})

    def in_test() -> set[str]:
        source = opened(place, valid=0.0, test=0.3)
        named = dict(zip(source.train.names or [], _places(source), strict=True))
        return {name for name, part in named.items() if part == "test" and name not in ("!.png", "zzz.png")}

    before = in_test()
    assert 5 < len(before) < 30
    (place / "!.png").write_bytes(png(NOISE[1]))  # the first now: every index has moved
    (place / "000.png").rename(place / "zzz.png")
    assert in_test() == before - {"000.png"}


def _places(source: ImageSource) -> list[str]:
    parts = split(source, 0)
    place = {}
    for part, rows in parts.items():
        assert isinstance(rows.rows, _Subset)
        place |= dict.fromkeys(rows.rows.indices.tolist(), part)
    return [place[index] for index in range(len(source.train.rows))]
