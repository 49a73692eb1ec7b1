"""Pictures for rehearsals: a generative background with the prompt written on it.

Drawing depends on the reference alone (and on the fonts of the machine, where a prompt is not
ASCII), so equal references give equal bytes. The background is chosen by prompt and seed: the same
prompt with another seed is another picture.
"""

from __future__ import annotations

import random
from functools import lru_cache
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont

from batchgen.errors import UserError
from batchgen.providers.segmind.simulator.media.backgrounds import paint
from batchgen.providers.segmind.simulator.messages import MediaRef

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
JPEG_QUALITY = 88
WEBP_QUALITY = 82

_SAVE: dict[str, dict[str, Any]] = {
    "jpg": {"format": "JPEG", "quality": JPEG_QUALITY},
    # Method 0 is several times as fast as the default and little larger.
    "webp": {"format": "WEBP", "quality": WEBP_QUALITY, "method": 0},
}


def draw(ref: MediaRef) -> bytes:
    """The picture of a reference as a file in its format (png, jpg or webp)."""
    prompt = str(ref.params.get("prompt", ""))
    dice = random.Random(f"{prompt!r}/{ref.seed}/{ref.index}")
    picture = paint(ref.width, ref.height, dice)
    _write(picture, ref, prompt)
    return _encode(picture, ref.format)


def _encode(picture: Image.Image, extension: str) -> bytes:
    file = BytesIO()
    if extension in _SAVE:
        picture.save(file, **_SAVE[extension])
    else:
        # Fewer colours would halve the 7 ms this takes, and show steps in every gradient.
        picture.save(file, format="PNG", compress_level=1)
    return file.getvalue()


def _write(picture: Image.Image, ref: MediaRef, prompt: str) -> None:
    """The prompt, as large as fits, over a line that says what made the picture."""
    width, height = picture.size
    margin = max(1, min(width, height) // 16)
    small = max(6, min(width, height) // 30)
    lines, font = _fit(prompt, width - 2 * margin, height // 2, min(width, height) // 11)
    leading = font.size * LEADING
    top = height - margin - small * 1.8 - len(lines) * leading
    _shade(picture, max(0, round(top) - 3 * margin))
    pen = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        pen.text((margin, top + number * leading), line, font=font, fill=(255, 255, 255))
    name = f"{ref.model} · seed {ref.seed} · simulated {ref.request_id[:8]}"
    if ref.index:
        name += f" · {ref.index + 1}"
    foot = height - margin - small
    pen.text((margin, foot), name, font=_font_for(name, small), fill=(225, 228, 235))


def _shade(picture: Image.Image, top: int) -> None:
    """Darken from `top` to the lower edge, so that white text is readable on any colour."""
    box = (0, top, *picture.size)
    size = (picture.width, picture.height - top)
    if size[1] > 0:
        veil = Image.linear_gradient("L").point(_VEIL).resize(size)
        picture.paste((8, 10, 20), box, veil)


_VEIL = [round(225 * (level / 255) ** 0.55) for level in range(256)]


def _fit(text: str, width: int, height: int, largest: int) -> tuple[list[str], FreeTypeFont]:
    """Lines and a font with which a text fits; what does not even in small type is cut off."""
    clipped = _printable(text[:MAX_PROMPT_CHARACTERS])
    size = max(MIN_SIZE_PX, largest)
    while True:
        font = _font_for(clipped, size)
        lines = _wrap(clipped, width, font)
        room = max(1, int(height / (size * LEADING)))
        if len(lines) <= room or size == MIN_SIZE_PX:
            break
        size = max(MIN_SIZE_PX, round(size * 0.85))
    if len(lines) > room or len(text) > MAX_PROMPT_CHARACTERS:
        lines = lines[:room]
        lines[-1] = lines[-1][:-1].rstrip() + "…"
    return lines, font


def _wrap(text: str, width: int, font: FreeTypeFont) -> list[str]:
    """Words into lines; a word that is wider than a line is broken."""
    lines, used, space = [""], 0.0, font.getlength(" ")
    for word in text.split():
        wide = font.getlength(word)
        if not lines[-1] or used + space + wide <= width:
            used += space + wide if lines[-1] else wide
            lines[-1] = f"{lines[-1]} {word}".lstrip()
        else:
            lines.append(word)
            used = wide
        if wide > width:
            lines[-1:] = _pieces(lines[-1], width, font)
            used = font.getlength(lines[-1])
    return lines


def _pieces(word: str, width: int, font: FreeTypeFont) -> list[str]:
    pieces = [""]
    for character in word:
        if pieces[-1] and font.getlength(pieces[-1] + character) > width:
            pieces.append("")
        pieces[-1] += character
    return pieces


def _printable(text: str) -> str:
    """Control characters and lone surrogates, at which fonts choke, become spaces."""
    return "".join(c if c.isprintable() else " " for c in text)


def _font_for(text: str, size: int) -> FreeTypeFont:
    """A font that has the letters of a text, as far as this machine has one."""
    # Pillow's own font has ASCII and a little punctuation, but not even an umlaut.
    plain = all(c.isascii() or c in "·…" for c in text)
    return _own_font(size) if plain else _wide_font(size) or _own_font(size)


@lru_cache(maxsize=64)
def _own_font(size: int) -> FreeTypeFont:
    """The font that comes with Pillow: the same on every machine."""
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise UserError("the simulator needs a Pillow with FreeType; or set `pictures: tiny`")
    return font


@lru_cache(maxsize=64)
def _wide_font(size: int) -> FreeTypeFont | None:
    """The first of some common fonts with many letters that is installed, or None."""
    for name in WIDE_FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return None
