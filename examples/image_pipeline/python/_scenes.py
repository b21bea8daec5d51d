"""Landscapes to make thumbnails of: always the same for the same seed and size."""

import math
import random

from PIL import Image, ImageDraw, ImageOps

_Color = tuple[int, int, int]

# Sky above, sky below, sun, hills from far to near.
_PALETTES: list[tuple[_Color, _Color, _Color, list[_Color]]] = [
    ((38, 70, 130), (250, 190, 140), (255, 236, 179), [(120, 110, 150), (84, 82, 122), (46, 52, 84), (22, 28, 50)]),
    ((92, 160, 214), (222, 240, 248), (255, 250, 214), [(150, 186, 178), (104, 156, 128), (60, 118, 82), (30, 76, 48)]),
    ((24, 16, 52), (190, 70, 92), (255, 158, 110), [(112, 52, 88), (78, 36, 76), (46, 22, 58), (20, 10, 34)]),
    (
        (200, 212, 222),
        (244, 244, 240),
        (255, 255, 255),
        [(186, 200, 210), (150, 170, 186), (98, 122, 148), (60, 80, 98)],
    ),
    ((250, 200, 90), (255, 236, 190), (255, 255, 236), [(222, 170, 110), (190, 124, 76), (146, 82, 52), (92, 46, 34)]),
    ((10, 24, 44), (44, 110, 120), (236, 244, 240), [(30, 86, 100), (22, 64, 80), (14, 44, 60), (6, 24, 36)]),
]


def scene(width: int, height: int, seed: int) -> Image.Image:
    """A sky, a sun and four ranges of hills."""
    chance = random.Random(seed)
    above, below, sun, hills = _PALETTES[chance.randrange(len(_PALETTES))]
    image = _sky(width, height, above, below)
    draw = ImageDraw.Draw(image)
    radius = min(width, height) * chance.uniform(0.06, 0.12)
    x, y = width * chance.uniform(0.2, 0.8), height * chance.uniform(0.15, 0.4)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=sun)
    for number, color in enumerate(hills):
        draw.polygon(_ridge(width, height, 0.45 + 0.14 * number, chance), fill=color)
    return image


def _sky(width: int, height: int, above: _Color, below: _Color) -> Image.Image:
    shades = ImageOps.colorize(Image.linear_gradient("L"), above, below)
    return shades.resize((width, height), Image.Resampling.BILINEAR)


def _ridge(width: int, height: int, level: float, chance: random.Random) -> list[tuple[float, float]]:
    """The outline of a range of hills: three waves on each other, down to the lower edge."""
    waves = [
        (chance.uniform(0, math.tau), chance.uniform(1.5, 3.5) * 2**octave, 0.06 / 2**octave) for octave in range(3)
    ]
    points = [(0.0, float(height))]
    for step in range(201):
        across = step / 200
        rise = sum(math.sin(phase + across * turns * math.tau / 2) * size for phase, turns, size in waves)
        points.append((across * width, (level - rise) * height))
    return points + [(float(width), float(height))]
