"""Pictures for rehearsals: a generative background with the prompt written on it.

Drawing depends on the reference alone (and on the fonts of the machine, where a prompt is not
ASCII), so equal references give equal bytes. Prompt and seed choose the background: the same prompt
with another seed is another picture.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from random import Random
from typing import Any

from PIL import Image, ImageColor, ImageDraw, ImageFont, WebPImagePlugin
from PIL.ImageFont import FreeTypeFont

from batchgen.errors import UserError
from batchgen.providers.segmind.simulator.messages import MediaRef

Color = tuple[int, ...]
"""Red, green, blue, and alpha where it is translucent."""

MAX_PROMPT_CHARACTERS = 300
"""Longer prompts are written up to here."""
MIN_SIZE_PX = 8
LEADING = 1.25
"""Distance of lines, in sizes of the font."""
WIDE_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "Arial Unicode.ttf",
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "Arial.ttf",
)
_SAVE: dict[str, dict[str, Any]] = {
    # Fewer colours would halve the 7 ms this takes, and show steps in every gradient.
    "png": {"format": "PNG", "compress_level": 1},
    "jpg": {"format": "JPEG", "quality": 88},
    # Method 0 is several times as fast as the default and little larger. The plugin is named:
    # Pillow would load those of all its forty formats to find it.
    "webp": {"format": WebPImagePlugin.WebPImageFile.format, "quality": 82, "method": 0},
}
_PALETTES = (
    "#0b132b #1c2541 #3a506b #5bc0be #f4d58d / #2b2d42 #8d99ae #edf2f4 #ef233c #d90429 / "
    "#264653 #2a9d8f #e9c46a #f4a261 #e76f51 / #10002b #3c096c #7b2cbf #c77dff #ffd6ff / "
    "#001219 #005f73 #94d2bd #ee9b00 #ca6702 / #03045e #0077b6 #00b4d8 #90e0ef #fff3b0 / "
    "#1a1423 #372549 #774c60 #b75d69 #eacdc2 / #132a13 #31572c #4f772d #90a955 #ecf39e / "
    "#2d00f7 #6a00f4 #bc00dd #f20089 #ffb600 / #0d1b2a #1b4965 #62b6cb #bee9e8 #ff9f6b / "
    "#370617 #6a040f #d00000 #f48c06 #ffba08 / #22223b #4a4e69 #9a8c98 #c9ada7 #f2e9e4"
)
_SCALE = 2
"""Backgrounds are drawn so much larger and reduced: a cheap way to edges without steps."""
_VEIL = [round(225 * (level / 255) ** 0.55) for level in range(256)]


def draw(ref: MediaRef) -> bytes:
    """The picture of a reference as a file in its format (png, jpg or webp)."""
    prompt = str(ref.params.get("prompt", ""))
    picture = paint(ref.width, ref.height, Random(f"{prompt!r}/{ref.seed}/{ref.index}"))
    _write(picture, ref, prompt)
    file = BytesIO()
    picture.save(file, **_SAVE[ref.format])
    return file.getvalue()


def paint(width: int, height: int, dice: Random) -> Image.Image:
    """A background of that size; style, palette and everything else by the dice."""
    style = dice.choice((_mesh, _hills, _waves, _discs, _facets, _arcs, _rings))
    canvas = _Canvas(width * _SCALE, height * _SCALE, dice)
    style(canvas)
    return canvas.image.reduce(_SCALE)


class _Canvas:
    """A picture to draw on, dice, and a palette of five colours, mostly from dark to light."""

    def __init__(self, width: int, height: int, dice: Random) -> None:
        self.width, self.height, self.dice = width, height, dice
        self.short = min(width, height)
        self.palette = [
            ImageColor.getrgb(name) for name in dice.choice(_PALETTES.split(" / ")).split()
        ]
        self.image = Image.new("RGB", (width, height))
        self.pen = ImageDraw.Draw(self.image)
        # Mixes colours by their alpha, pixel by pixel: several times slower.
        self._glaze = ImageDraw.Draw(self.image, "RGBA")

    def fill(self, columns: int, colors: Sequence[Color]) -> None:
        """Fill with colours, row by row in so many columns, that flow into one another."""
        small = Image.new("RGB", (columns, len(colors) // columns))
        small.putdata(colors)
        self.image.paste(small.resize(self.image.size, Image.Resampling.BICUBIC))

    def disc(self, x: float, y: float, radius: float, color: Color) -> None:
        """A filled circle, opaque or translucent."""
        pen = self._glaze if len(color) == 4 else self.pen
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)

    def ground(self, base: float, swing: float, color: Color) -> None:
        """Everything below a wavy line."""
        parts = [(self.dice.uniform(0.6, 3.2), self.dice.uniform(0, math.tau)) for _ in range(3)]
        line = []
        for step in range(49):
            share = step / 48
            lift = sum(math.sin(share * rate * math.tau + shift) for rate, shift in parts) / 2
            line.append((share * self.width, base + lift * swing))
        self.pen.polygon([*line, (self.width, self.height), (0, self.height)], fill=color)

    def shade(self, place: float) -> Color:
        """A colour of the palette at 0, 1, 2 …, or a mixture between two of them."""
        low = min(int(place), len(self.palette) - 2)
        return _mix(self.palette[low], self.palette[low + 1], place - low)

    def point(self, part: float) -> tuple[float, float]:
        """Any point in this upper part of the height."""
        return self.dice.uniform(0, self.width), self.dice.uniform(0, self.height * part)


def _mix(first: Color, second: Color, share: float) -> Color:
    """A colour between two: all of the first at 0, all of the second at 1."""
    return tuple(round(a + (b - a) * share) for a, b in zip(first, second, strict=True))


def _mesh(canvas: _Canvas) -> None:
    """Colours that flow into one another."""
    dice = canvas.dice
    canvas.fill(5, [dice.choice(canvas.palette) for _ in range(25)])
    for _ in range(3):
        color = (*canvas.palette[-1], dice.randrange(25, 60))
        canvas.disc(*canvas.point(0.7), canvas.short * dice.uniform(0.08, 0.3), color)


def _hills(canvas: _Canvas) -> None:
    """A low sun over ranges of hills."""
    dice = canvas.dice
    canvas.fill(1, canvas.palette[2:])
    x, y = canvas.width * dice.uniform(0.2, 0.8), canvas.height * dice.uniform(0.25, 0.42)
    radius = canvas.short * dice.uniform(0.09, 0.15)
    for size, color in (
        (2.4, (255, 255, 255, 28)),
        (1.7, (255, 255, 255, 28)),
        (1, (255, 250, 235)),
    ):
        canvas.disc(x, y, radius * size, color)
    for number in range(5):
        base = canvas.height * (0.45 + 0.12 * number)
        canvas.ground(base, canvas.height * 0.07, canvas.shade(1 - number / 4))


def _waves(canvas: _Canvas) -> None:
    """Bands of water under a sky."""
    canvas.fill(1, [canvas.shade(3.7), canvas.palette[4]])
    for number in range(9):
        base = canvas.height * (0.16 + 0.1 * number)
        swing = canvas.height * canvas.dice.uniform(0.02, 0.05)
        canvas.ground(base, swing, canvas.shade((1 - number / 9) * 3))


def _discs(canvas: _Canvas) -> None:
    """Translucent circles, as of lights out of focus."""
    dice = canvas.dice
    canvas.fill(1, [canvas.shade(0.6), canvas.palette[0]])
    for _ in range(26):
        color = (*dice.choice(canvas.palette[1:]), dice.randrange(50, 150))
        canvas.disc(*canvas.point(1), canvas.short * dice.uniform(0.03, 0.24), color)


def _facets(canvas: _Canvas) -> None:
    """Triangles in slightly different shades, as of folded paper."""
    dice, cell = canvas.dice, canvas.short / 6
    columns, rows = math.ceil(canvas.width / cell) + 1, math.ceil(canvas.height / cell) + 1
    at = {
        (c, r): ((c + dice.uniform(-0.8, -0.2)) * cell, (r + dice.uniform(-0.8, -0.2)) * cell)
        for r in range(rows + 1)
        for c in range(columns + 1)
    }
    end = dice.choice(canvas.palette[2:])
    for c, r in ((c, r) for r in range(rows) for c in range(columns)):
        slope = (c / columns + 1 - r / rows) / 2
        for third in (c, r), (c + 1, r + 1):
            shade = min(1.0, max(0.0, slope + dice.uniform(-0.16, 0.16)))
            color = _mix(canvas.palette[0], end, shade)
            canvas.pen.polygon([at[c + 1, r], at[c, r + 1], at[third]], fill=color)


def _arcs(canvas: _Canvas) -> None:
    """Tiles of quarter circles, nested around one of the corners of each."""
    dice, side = canvas.dice, canvas.short / canvas.dice.choice((3, 4))
    for top in range(math.ceil(canvas.height / side)):
        for left in range(math.ceil(canvas.width / side)):
            turn = dice.randrange(4)
            x, y = (left + (turn in {1, 2})) * side, (top + (turn in {2, 3})) * side
            ground, *colors = dice.sample(canvas.palette, 4)
            box = (left * side, top * side, (left + 1) * side, (top + 1) * side)
            canvas.pen.rectangle(box, fill=ground)
            for color, share in zip(colors, (1.0, 0.66, 0.33), strict=True):
                radius = side * share
                box = (x - radius, y - radius, x + radius, y + radius)
                canvas.pen.pieslice(box, turn * 90, turn * 90 + 90, fill=color)


def _rings(canvas: _Canvas) -> None:
    """Rings around a point off the middle."""
    dice = canvas.dice
    x, y = canvas.width * dice.uniform(0.15, 0.85), canvas.height * dice.uniform(0.1, 0.6)
    reach, count = math.hypot(canvas.width, canvas.height), dice.randrange(9, 15)
    for number in range(count):
        canvas.disc(x, y, reach * (1 - number / count), canvas.shade(number * 0.8 % 4))


def _write(picture: Image.Image, ref: MediaRef, prompt: str) -> None:
    """The prompt, as large as fits, over a line that says what made the picture."""
    width, height = picture.size
    short = min(width, height)
    margin, small = max(1, short // 16), max(6, short // 30)
    lines, font = _fit(prompt, width - 2 * margin, height // 2, short // 11)
    leading = font.size * LEADING
    top = height - margin - small * 1.8 - len(lines) * leading
    # Darkened towards the lower edge, so that white text is readable on any colour.
    dark = max(0, round(top) - 3 * margin)
    veil = Image.linear_gradient("L").point(_VEIL).resize((width, height - dark))
    picture.paste((8, 10, 20), (0, dark, width, height), veil)
    pen = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        pen.text((margin, top + number * leading), line, font=font, fill=(255, 255, 255))
    name = f"{ref.model} · seed {ref.seed} · simulated {ref.request_id[:8]}"
    name += f" · {ref.index + 1}" if ref.index else ""
    font = _font(small, plain=_is_plain(name))
    pen.text((margin, height - margin - small), name, font=font, fill=(225, 228, 235))


def _fit(prompt: str, width: int, height: int, size: int) -> tuple[list[str], FreeTypeFont]:
    """Lines and a font with which a text fits; what does not even in small type is cut off."""
    # Fonts choke on control characters and on lone surrogates.
    text = "".join(c if c.isprintable() else " " for c in prompt[:MAX_PROMPT_CHARACTERS])
    text += "…" if len(prompt) > MAX_PROMPT_CHARACTERS else ""
    while True:
        size = max(MIN_SIZE_PX, size)
        font = _font(size, plain=_is_plain(text))
        # Letters differ in width: of a line that is longer than the average the margin takes it.
        columns = max(1, int(width * len(text) / max(1.0, font.getlength(text)) * 0.95))
        lines, room = textwrap.wrap(text, columns), max(1, int(height / (size * LEADING)))
        if len(lines) <= room or size == MIN_SIZE_PX:
            return textwrap.wrap(text, columns, max_lines=room, placeholder="…"), font
        size = round(size * 0.85)


def _is_plain(text: str) -> bool:
    """Whether Pillow's own font has the letters: it has not even an umlaut."""
    return all(c.isascii() or c in "·…" for c in text)


@lru_cache(maxsize=64)
def _font(size: int, *, plain: bool) -> FreeTypeFont:
    """Pillow's own font, or the first installed one that has many letters."""
    for name in () if plain else WIDE_FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    font = ImageFont.load_default(size)
    if not isinstance(font, FreeTypeFont):
        raise UserError("the simulator needs a Pillow with FreeType; or set `pictures: tiny`")
    return font
