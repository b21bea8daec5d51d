"""Pictures and their thumbnails, for the workers of the `image_pipeline` example.

`thumbnail_batch` decodes its whole batch before it makes the first thumbnail, as code does that hands a batch to a
model: so the weight of a batch, in pixels, is what bounds a worker's memory. Nothing here knows of that bound. Rust
forms the batches and holds back the next ones; this module only measures what it came to.
"""

import contextlib
import hashlib
import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from _scenes import scene
from PIL import Image, ImageDraw, ImageOps
from slither import Failed

THUMBNAIL = (256, 256)
"""No thumbnail is wider or higher, and none larger than its picture."""


class Wanted(TypedDict):
    """A picture to be painted, or one that is there. `seed` is None for the latter."""

    name: str
    path: str
    thumbnail: str
    width: int
    height: int
    seed: int | None


class Picture(TypedDict):
    """A picture that is there, as far as its header tells."""

    name: str
    path: str
    thumbnail: str
    width: int
    height: int
    format: str
    pixel_bytes: int


class Thumbnail(TypedDict):
    """A thumbnail, and when, where and in which of the worker's batches it was made."""

    picture: Picture
    width: int
    height: int
    bytes: int
    sha256: str
    pid: int
    batch: int
    began_ns: int
    ended_ns: int


class Tile(TypedDict):
    """A thumbnail on the contact sheet."""

    path: str
    caption: str


class Sheet(TypedDict):
    """What became of the contact sheet."""

    width: int
    height: int
    tiles: int


class WorkerStats(TypedDict):
    """What one worker has done, and the memory it took. `baseline` is before its first picture."""

    pid: int
    batches: int
    images: int
    pixels: int
    baseline_bytes: int
    peak_bytes: int


_Done = TypeVar("_Done")

_batches: int = 0
_images: int = 0
_pixels: int = 0


def prepare_batch(items: list[Wanted]) -> list[Picture | Failed]:
    """Paint pictures, or look at the headers of those that are there."""
    return [_attempt(_prepare, item) for item in items]


def thumbnail_batch(items: list[Picture]) -> list[Thumbnail | Failed]:
    """Decode a batch, make its thumbnails and write those that have a place; one result an item, in order.

    A picture that cannot be decoded fails alone. The worker's counts change once the batch is done.
    """
    global _batches
    began = time.monotonic_ns()
    decoded: list[Image.Image | Failed] = [_attempt(_decode, item) for item in items]
    results: list[Thumbnail | Failed] = []
    for item, image in zip(items, decoded, strict=True):
        if isinstance(image, Failed):
            results.append(image)
        else:
            thumbnail = _attempt(_thumbnail, item, image)
            results.append(thumbnail)
    _batches += 1
    ended = time.monotonic_ns()
    for result in results:
        if not isinstance(result, Failed):
            result["began_ns"], result["ended_ns"] = began, ended
            _count(result)
    return results


def contact_sheet(tiles: list[Tile], path: str, columns: int) -> Sheet:
    """All thumbnails on one page."""
    edge, gap, line = THUMBNAIL[0], 16, 22
    rows = -(-len(tiles) // columns)
    size = (gap + columns * (edge + gap), gap + rows * (edge + line + gap))
    page = Image.new("RGB", size, (247, 246, 243))
    draw = ImageDraw.Draw(page)
    for number, tile in enumerate(tiles):
        left = gap + number % columns * (edge + gap)
        top = gap + number // columns * (edge + line + gap)
        with Image.open(tile["path"]) as thumbnail:
            shown = thumbnail.convert("RGBA")
            page.paste(shown, (left + (edge - shown.width) // 2, top + (edge - shown.height) // 2), shown)
        caption = _cut(draw, tile["caption"], edge)
        draw.text((left + edge / 2, top + edge + line / 2), caption, fill=(70, 70, 74), anchor="mm")
    page.save(path, "PNG")
    return {"width": page.width, "height": page.height, "tiles": len(tiles)}


def worker_stats() -> WorkerStats:
    """This worker's counts and its memory since it started."""
    return {
        "pid": os.getpid(),
        "batches": _batches,
        "images": _images,
        "pixels": _pixels,
        "baseline_bytes": _BASELINE,
        "peak_bytes": memory("VmHWM"),
    }


def fitting(width: int, height: int) -> tuple[int, int]:
    """The size of the thumbnail of a picture."""
    scale = min(THUMBNAIL[0] / width, THUMBNAIL[1] / height, 1.0)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _prepare(item: Wanted) -> Picture:
    path = Path(item["path"])
    if item["seed"] is not None:
        image = scene(item["width"], item["height"], item["seed"])
        image.save(path, quality=90, compress_level=1)
    with Image.open(path) as image:
        # Colours stored in another way than they are worked on are there twice while they are converted.
        pixel_bytes = 4 if image.mode in _PLAIN else 8
        return {
            "name": item["name"],
            "path": item["path"],
            "thumbnail": item["thumbnail"],
            "width": image.width,
            "height": image.height,
            "format": image.format or "unknown",
            "pixel_bytes": pixel_bytes,
        }


_PLAIN = frozenset({"RGB", "RGBA", "L"})


def _decode(item: Picture) -> Image.Image:
    with Image.open(item["path"]) as image:
        image.load()
        if image.mode in _PLAIN:
            return image
        converted = image.convert("RGBA")
        # The colour profile was one for the colours before.
        converted.info.pop("icc_profile", None)
        return converted


def _thumbnail(item: Picture, image: Image.Image) -> Thumbnail:
    # Turned as the camera was held only when it is small, and a copy costs nothing.
    small = ImageOps.exif_transpose(image.resize(fitting(image.width, image.height), Image.Resampling.LANCZOS))
    file = io.BytesIO()
    small.save(file, "PNG")
    data = file.getvalue()
    if item["thumbnail"]:
        Path(item["thumbnail"]).write_bytes(data)
    return {
        "picture": item,
        "width": small.width,
        "height": small.height,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "pid": os.getpid(),
        "batch": _batches + 1,
        "began_ns": 0,
        "ended_ns": 0,
    }


def _attempt(work: Callable[..., _Done], *args: Any) -> _Done | Failed:
    """Do it, or fail this picture alone. Decoders raise whatever they like at a file that is not what it says."""
    try:
        return work(*args)
    except MemoryError:
        raise
    except Exception as error:
        return Failed(f"{type(error).__name__}: {error}")


def _count(result: Thumbnail) -> None:
    """Add a finished thumbnail to the worker's counts: read, modify, write, as a single-threaded program may."""
    global _images, _pixels
    _images += 1
    _pixels += result["picture"]["width"] * result["picture"]["height"]


def _cut(draw: ImageDraw.ImageDraw, caption: str, width: int) -> str:
    if draw.textlength(caption) <= width:
        return caption
    while caption and draw.textlength(caption + "...") > width:
        caption = caption[:-1]
    return caption + "..."


def memory(field: str) -> int:
    """A line of `/proc/self/status`, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the kernel does not tell {field}")


def start_measuring() -> int:
    """Forget what imports took at their peak; the memory now, which is where the pictures' begins."""
    # Kernels without it leave the peak as it is, which is then the higher one.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return memory("VmRSS")


# So that decoders are not counted as pictures.
Image.init()
_BASELINE = start_measuring()
