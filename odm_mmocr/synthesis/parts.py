"""What is held out: each font family, word and photograph belongs to one of two parts, for good.

A name goes to its part by its own hash, whatever else is installed or listed: a run on another
machine, or with more fonts, holds out the same.
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import TypeVar

PARTS = ('train', 'test')
TEST_SHARE = 0.25
# Chosen so that matplotlib's fonts and the photographs of scikit-image alone fill both parts.
SALT = 6099

Item = TypeVar('Item')


def part_of(kind: str, name: str) -> str:
    """Say to which part a name belongs.

    Args:
        kind: 'font', 'word' or 'background'; equal names of different kinds are independent.
        name: what is hashed, as UTF-8.

    Returns:
        'test' for about a quarter of all names, else 'train'.
    """
    digest = hashlib.sha256(f'{SALT}:{kind}:{name}'.encode()).digest()
    return PARTS[int.from_bytes(digest[:8], 'big') < TEST_SHARE * 2**64]


def word_part(text: str) -> str:
    """Say to which part a text belongs: casing, punctuation and the ends of an address aside.

    'Sale', 'SALE!' and 'www.sale.com' are the same word; 'sales' is another.
    """
    core = re.sub(r'^www\.|\.(com|net|org)$', '', text.casefold())
    return part_of('word', ''.join(filter(str.isalnum, core)) or core)


def font_part(family: str) -> str:
    """Say to which part a font belongs, by the first word of its family, digits at its end aside.

    So 'DejaVu Sans Mono' and 'DejaVu Serif' are never apart.
    """
    first = (family.casefold().split() or [''])[0]
    return part_of('font', first.rstrip('0123456789') or first)


def background_part(file_name: str) -> str:
    """Say to which part a photograph belongs, by the name of its file, without folders."""
    return part_of('background', file_name.casefold())


def check_part(part: str | None) -> str | None:
    """Return a part, or None for everything.

    Raises:
        ValueError: it is neither 'train', 'test' nor None.
    """
    if part is not None and part not in PARTS:
        raise ValueError(f"part is {part!r}, expected 'train', 'test', or None for everything")
    return part


def keep_part(
    items: Iterable[Item], part: str | None, part_of_item: Callable[[Item], str]
) -> list[Item]:
    """Leave out the items of the other part; with None, nothing.

    Args:
        items: what to choose from.
        part: 'train', 'test' or None.
        part_of_item: says to which part an item belongs.
    """
    return [item for item in items if part is None or part_of_item(item) == part]
