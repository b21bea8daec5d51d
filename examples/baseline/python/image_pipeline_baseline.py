"""`image_pipeline` by plain threads: as many pictures at once as there are threads, and no bound on their pixels.

Pictures are painted by the example's own functions, and decoded and scaled as it does. `locked` is what a careful
program does: two threads, and so two pictures at a time.
"""

import hashlib
import io
from pathlib import Path
from typing import TypedDict

import image_processor
from _harness import Run
from image_processor import Wanted, prepare_batch
from PIL import Image

THREADS = 16
AT_A_TIME = 2


class Work(TypedDict):
    """The pictures, and the example's own bounds: pixels and bytes of a worker's batch, and batches at a time."""

    pictures: list[Wanted]
    max_weight: int
    allowance: int
    in_flight: int


def prepare(work: Work) -> None:
    """Paint what is to be painted; in a process of its own, whose memory is not measured."""
    prepare_batch(work["pictures"])


def run(run: Run, work: Work) -> None:
    """Thumbnails in sixteen threads, the memory that it took, and then the same one after the other."""
    pictures = [wanted for wanted in work["pictures"] if Path(wanted["path"]).is_file()]
    bound = _bound(pictures, work) >> 20
    run.expect("peak_memory_mb", f"at most {bound}")
    run.expect("thumbnails_made", len(pictures))
    run.expect("thumbnails_as_serial", len(pictures))
    made: dict[str, str] = {}
    # Forgets the peak of what came before.
    baseline = image_processor.start_measuring()

    def shrink(wanted: Wanted) -> None:
        digest = _thumbnail(wanted)
        with run.guard:
            made[wanted["name"]] = digest

    run.share(pictures, shrink, THREADS if run.naive else AT_A_TIME)
    peak = (image_processor.memory("VmHWM") - baseline) >> 20
    run.found("peak_memory_mb", peak, broke=peak > bound)
    run.found("thumbnails_made", len(made), broke=len(made) != len(pictures))
    same = sum(1 for wanted in pictures if made.get(wanted["name"]) == _thumbnail(wanted))
    run.found("thumbnails_as_serial", same, broke=same != len(pictures))


def _bound(pictures: list[Wanted], work: Work) -> int:
    """The memory that the example's batches in flight may take together, by its own reckoning."""
    largest = 0
    for wanted in pictures:
        with Image.open(wanted["path"]) as image:
            largest = max(largest, image.width * image.height)
    return work["in_flight"] * (max(largest, work["max_weight"]) * 4 + work["allowance"])


def _thumbnail(wanted: Wanted) -> str:
    """Decode a picture, scale it, and say which bytes came out."""
    with Image.open(wanted["path"]) as image:
        image.load()
        size = image_processor.fitting(image.width, image.height)
        small = image.resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "PNG")
    return hashlib.sha256(file.getvalue()).hexdigest()
