"""Backgrounds: a palette, a style, and dice that are thrown for everything else.

Smooth areas are made small and enlarged, shapes are drawn at twice the size and reduced: both are
cheap ways to edges without steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from PIL import Image, ImageColor, ImageDraw

Color = tuple[int, int, int]
Palette = list[Color]
Style = Callable[["Canvas"], None]

_PALETTES = (
    "#0b132b #1c2541 #3a506b #5bc0be #f4d58d",
    "#2b2d42 #8d99ae #edf2f4 #ef233c #d90429",
    "#264653 #2a9d8f #e9c46a #f4a261 #e76f51",
    "#10002b #3c096c #7b2cbf #c77dff #ffd6ff",
    "#001219 #005f73 #94d2bd #ee9b00 #ca6702",
    "#03045e #0077b6 #00b4d8 #90e0ef #fff3b0",
    "#1a1423 #372549 #774c60 #b75d69 #eacdc2",
    "#132a13 #31572c #4f772d #90a955 #ecf39e",
    "#2d00f7 #6a00f4 #bc00dd #f20089 #ffb600",
    "#0d1b2a #1b4965 #62b6cb #bee9e8 #ff9f6b",
    "#370617 #6a040f #d00000 #f48c06 #ffba08",
    "#22223b #4a4e69 #9a8c98 #c9ada7 #f2e9e4",
)


class Canvas:
    """A picture of `width` × `height` pixels to draw on, a palette and the dice."""

    def __init__(self, width: int, height: int, dice: Random) -> None:
        self.width = width
        self.height = height
        self.short = min(self.width, self.height)
        self.dice = dice
        names = dice.choice(_PALETTES).split()
        self.palette: Palette = [_color(name) for name in names]
        self.image = Image.new("RGB", (self.width, self.height))
        self.pen = ImageDraw.Draw(self.image)
        # Mixes colours by their alpha, pixel by pixel: several times slower.
        self._glaze = ImageDraw.Draw(self.image, "RGBA")

    def sky(self, *colors: Color) -> None:
        """Fill with a gradient from top to bottom."""
        strip = Image.new("RGB", (1, len(colors)))
        strip.putdata(colors)
        column = strip.resize((1, self.height), Image.Resampling.BICUBIC)
        self.image.paste(column.resize((self.width, self.height), Image.Resampling.NEAREST))

    def disc(self, x: float, y: float, radius: float, color: Color) -> None:
        """A filled circle."""
        self.pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)

    def glaze(self, x: float, y: float, radius: float, color: tuple[int, int, int, int]) -> None:
        """A translucent circle; the fourth part of the colour is its alpha."""
        self._glaze.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)


def paint(width: int, height: int, dice: Random) -> Image.Image:
    """A background of that size; style, palette and everything else by the dice."""
    style, scale = dice.choice(STYLES)
    canvas = Canvas(width * scale, height * scale, dice)
    style(canvas)
    return canvas.image.reduce(scale) if scale > 1 else canvas.image


def _mesh(canvas: Canvas) -> None:
    """Colours that flow into one another."""
    dice = canvas.dice
    small = Image.new("RGB", (5, 5))
    small.putdata([dice.choice(canvas.palette) for _ in range(25)])
    size = (canvas.width, canvas.height)
    canvas.image.paste(small.resize(size, Image.Resampling.BICUBIC))
    for _ in range(3):
        radius = canvas.short * dice.uniform(0.08, 0.3)
        x, y = dice.uniform(0, canvas.width), dice.uniform(0, canvas.height * 0.7)
        canvas.glaze(x, y, radius, (*canvas.palette[-1], dice.randrange(25, 60)))


def _hills(canvas: Canvas) -> None:
    """A low sun over ranges of hills."""
    dark, *between, light = canvas.palette
    dice = canvas.dice
    canvas.sky(between[1], between[2], light)
    x, y = canvas.width * dice.uniform(0.2, 0.8), canvas.height * dice.uniform(0.25, 0.42)
    radius = canvas.short * dice.uniform(0.09, 0.15)
    for ring in (2.4, 1.7):
        canvas.glaze(x, y, radius * ring, (255, 255, 255, 28))
    canvas.disc(x, y, radius, (255, 250, 235))
    ranges = 5
    for number in range(ranges):
        share = number / (ranges - 1)
        base = canvas.height * (0.45 + 0.12 * number)
        _range(canvas, base, canvas.height * 0.07, _mix(between[0], dark, share))


def _waves(canvas: Canvas) -> None:
    """Bands of water under a sky."""
    dice = canvas.dice
    canvas.sky(_mix(canvas.palette[3], canvas.palette[4], 0.7), canvas.palette[4])
    bands = 9
    for number in range(bands):
        base = canvas.height * (0.16 + 0.1 * number)
        place = (1 - number / bands) * (len(canvas.palette) - 2)
        low, share = int(place), place % 1
        color = _mix(canvas.palette[low], canvas.palette[low + 1], share)
        _range(canvas, base, canvas.height * dice.uniform(0.02, 0.05), color)


def _range(canvas: Canvas, base: float, swing: float, color: Color) -> None:
    """Everything below a wavy line."""
    dice = canvas.dice
    parts = [(dice.uniform(0.6, 3.2), dice.uniform(0, math.tau)) for _ in range(3)]
    steps = 48
    line = []
    for step in range(steps + 1):
        share = step / steps
        lift = sum(math.sin(share * rate * math.tau + shift) for rate, shift in parts) / 2
        line.append((share * canvas.width, base + lift * swing))
    canvas.pen.polygon([*line, (canvas.width, canvas.height), (0, canvas.height)], fill=color)


def _discs(canvas: Canvas) -> None:
    """Translucent circles, as of lights out of focus."""
    dark, *others = canvas.palette
    dice = canvas.dice
    canvas.sky(_mix(dark, others[0], 0.6), dark)
    for _ in range(26):
        radius = canvas.short * dice.uniform(0.03, 0.24)
        x, y = dice.uniform(0, canvas.width), dice.uniform(0, canvas.height)
        canvas.glaze(x, y, radius, (*dice.choice(others), dice.randrange(50, 150)))


def _facets(canvas: Canvas) -> None:
    """Triangles in slightly different shades, as of folded paper."""
    dice = canvas.dice
    cell = canvas.short / 6
    columns, rows = math.ceil(canvas.width / cell) + 1, math.ceil(canvas.height / cell) + 1
    points = [
        [
            ((c - 0.5 + dice.uniform(-0.3, 0.3)) * cell, (r - 0.5 + dice.uniform(-0.3, 0.3)) * cell)
            for c in range(columns + 1)
        ]
        for r in range(rows + 1)
    ]
    start, end = canvas.palette[0], dice.choice(canvas.palette[2:])
    for row in range(rows):
        for column in range(columns):
            a, b = points[row][column], points[row][column + 1]
            c, d = points[row + 1][column], points[row + 1][column + 1]
            slope = (column / columns + 1 - row / rows) / 2
            for corners in ((a, b, c), (b, c, d)):
                shade = min(1.0, max(0.0, slope + dice.uniform(-0.16, 0.16)))
                canvas.pen.polygon(corners, fill=_mix(start, end, shade))


def _arcs(canvas: Canvas) -> None:
    """Tiles of quarter circles."""
    dice = canvas.dice
    ground, *others = canvas.palette
    canvas.sky(ground, _mix(ground, others[0], 0.5))
    cell = canvas.short / dice.choice((3, 4))
    for row in range(math.ceil(canvas.height / cell)):
        for column in range(math.ceil(canvas.width / cell)):
            corner_x = (column + dice.randrange(2)) * cell
            corner_y = (row + dice.randrange(2)) * cell
            _quarter(canvas, (column * cell, row * cell, cell), (corner_x, corner_y))


def _quarter(canvas: Canvas, tile: tuple[float, float, float], corner: tuple[float, float]) -> None:
    """Nested quarter circles in a tile (left, top, side) around one of its corners."""
    left, top, side = tile
    x, y = corner
    start = {(True, True): 0, (False, True): 90, (False, False): 180, (True, False): 270}
    angle = start[x == left, y == top]
    colors = canvas.dice.sample(canvas.palette, 4)
    canvas.pen.rectangle((left, top, left + side, top + side), fill=colors[0])
    for color, share in zip(colors[1:], (1.0, 0.66, 0.33), strict=True):
        radius = side * share
        box = (x - radius, y - radius, x + radius, y + radius)
        canvas.pen.pieslice(box, angle, angle + 90, fill=color)


def _rings(canvas: Canvas) -> None:
    """Rings around a point off the middle."""
    dice = canvas.dice
    x, y = canvas.width * dice.uniform(0.15, 0.85), canvas.height * dice.uniform(0.1, 0.6)
    reach = math.hypot(canvas.width, canvas.height)
    count = dice.randrange(9, 15)
    for number in range(count):
        share = 1 - number / count
        place = (number * 0.8) % (len(canvas.palette) - 1)
        color = _mix(canvas.palette[int(place)], canvas.palette[int(place) + 1], place % 1)
        canvas.disc(x, y, reach * share, color)


STYLES: tuple[tuple[Style, int], ...] = (
    (_mesh, 1),
    (_hills, 2),
    (_waves, 2),
    (_discs, 2),
    (_facets, 2),
    (_arcs, 2),
    (_rings, 2),
)
"""Each style with the scale it is drawn at; reduced to 1, edges have no steps."""


def _color(name: str) -> Color:
    red, green, blue = ImageColor.getrgb(name)[:3]
    return red, green, blue


def _mix(first: Color, second: Color, share: float) -> Color:
    """A colour between two: all of the first at 0, all of the second at 1."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue
