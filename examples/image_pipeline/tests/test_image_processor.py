# ruff: noqa: D103  the name of a test says what it promises
"""The promises of the thumbnails. They need Pillow and the SDK, but no Slither."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))

import image_processor
from _scenes import scene
from image_processor import Picture, Thumbnail, Wanted, contact_sheet, fitting, prepare_batch, thumbnail_batch
from PIL import Image
from slither import Failed


def wanted(folder: Path, name: str, width: int = 40, height: int = 30, seed: int | None = 1) -> Wanted:
    thumbnail = str(folder / f"{name}.thumbnail.png")
    path = str(folder / name)
    return {"name": name, "path": path, "thumbnail": thumbnail, "width": width, "height": height, "seed": seed}


def prepared(*items: Wanted) -> list[Picture]:
    results = prepare_batch(list(items))
    return [result for result in results if not isinstance(result, Failed)]


def made(result: Thumbnail | Failed) -> Thumbnail:
    assert not isinstance(result, Failed), result.reason
    return result


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((3840, 2160), (256, 144)),
        ((100, 400), (64, 256)),
        ((100, 100), (100, 100)),
        ((256, 1), (256, 1)),
        ((9000, 3), (256, 1)),
    ],
)
def test_a_thumbnail_keeps_its_proportions_and_never_grows(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fitting(*size) == expected


def test_a_scene_is_the_same_for_the_same_seed() -> None:
    assert scene(80, 60, 3).tobytes() == scene(80, 60, 3).tobytes()
    assert scene(80, 60, 3).tobytes() != scene(80, 60, 4).tobytes()
    assert scene(64, 48, 1).size == (64, 48)


def test_pictures_are_painted_and_their_thumbnails_written(tmp_path: Path) -> None:
    pictures = prepared(wanted(tmp_path, "a.jpg", 400, 300), wanted(tmp_path, "b.png", 30, 600))
    assert [(it["format"], it["width"], it["height"]) for it in pictures] == [("JPEG", 400, 300), ("PNG", 30, 600)]
    first, second = (made(result) for result in thumbnail_batch(pictures))
    assert (first["width"], first["height"]) == (256, 192)
    assert first["batch"] == second["batch"]
    assert first["began_ns"] < first["ended_ns"] == second["ended_ns"]
    with Image.open(pictures[1]["thumbnail"]) as written:
        assert written.size == (13, 256)
    assert Path(pictures[0]["thumbnail"]).stat().st_size == first["bytes"]


def test_without_a_place_nothing_is_written_and_the_result_is_the_same(tmp_path: Path) -> None:
    (picture,) = prepared(wanted(tmp_path, "a.jpg", 400, 300))
    (first,) = thumbnail_batch([picture])
    files = sorted(tmp_path.iterdir())
    Path(picture["thumbnail"]).unlink()
    (second,) = thumbnail_batch([{**picture, "thumbnail": ""}])
    assert made(first)["sha256"] == made(second)["sha256"]
    assert len(list(tmp_path.iterdir())) == len(files) - 1


def test_a_corrupt_file_fails_alone(tmp_path: Path) -> None:
    good = wanted(tmp_path, "good.jpg", 300, 200)
    cut = wanted(tmp_path, "cut.png", 300, 200)
    pictures = prepared(good, cut)
    data = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.jpg").write_text("no picture")
    before = image_processor.worker_stats()
    failed, ok = prepare_batch([wanted(tmp_path, "text.jpg", seed=None), wanted(tmp_path, "good.jpg", seed=None)])
    assert isinstance(failed, Failed)
    assert "UnidentifiedImageError" in failed.reason
    assert not isinstance(ok, Failed)
    first, second = thumbnail_batch(pictures)
    assert made(first)["width"] == 256
    assert isinstance(second, Failed)
    assert not (tmp_path / "cut.png.thumbnail.png").exists()
    after = image_processor.worker_stats()
    assert after["images"] - before["images"] == after["batches"] - before["batches"] == 1
    assert after["pixels"] - before["pixels"] == 300 * 200


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_colours_is_taken(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    image = Image.new("L", (300, 300), 90)
    (Image.new(mode, (300, 300)) if mode == "I;16" else image.convert(mode)).save(path)
    (picture,) = prepared(wanted(tmp_path, path.name, seed=None))
    assert picture["pixel_bytes"] == (4 if mode in {"L", "RGBA"} else 8)
    assert made(thumbnail_batch([picture])[0])["width"] == 256


def test_a_picture_taken_upright_stands_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(400, 300, 1).save(tmp_path / "x.jpg", exif=exif)
    (thumbnail,) = thumbnail_batch(prepared(wanted(tmp_path, "x.jpg", seed=None)))
    assert (made(thumbnail)["width"], made(thumbnail)["height"]) == (192, 256)


def test_the_contact_sheet_holds_every_tile(tmp_path: Path) -> None:
    pictures = prepared(*(wanted(tmp_path, f"{number}.png") for number in range(5)))
    thumbnail_batch(pictures)
    sheet = contact_sheet(
        [{"path": picture["thumbnail"], "caption": "a long caption " * 9} for picture in pictures],
        str(tmp_path / "sheet.png"),
        2,
    )
    with Image.open(tmp_path / "sheet.png") as written:
        assert written.size == (sheet["width"], sheet["height"])
        assert sheet["tiles"] == 5
        # The tile in the third row on the left, and the empty place beside it.
        assert written.getpixel((16 + 128, 16 + 2 * 294 + 128)) != (247, 246, 243)
        assert written.getpixel((16 + 272 + 128, 16 + 2 * 294 + 128)) == (247, 246, 243)


def test_a_larger_batch_takes_more_memory(tmp_path: Path) -> None:
    pictures = prepared(*(wanted(tmp_path, f"{number}.png", 2000, 1500) for number in range(4)))
    thumbnail_batch([{**pictures[0], "thumbnail": ""}])
    one = image_processor.worker_stats()
    thumbnail_batch([{**picture, "thumbnail": ""} for picture in pictures])
    four = image_processor.worker_stats()
    assert four["peak_bytes"] - one["peak_bytes"] > 2 * 2000 * 1500 * 4
    assert one["peak_bytes"] >= one["baseline_bytes"] > 0
