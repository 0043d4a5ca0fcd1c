"""Words and file names of any origin as text that can be shown."""

import unicodedata

# Invisible, or able to reorder what stands around them.
_HIDDEN = ('Cc', 'Cf', 'Cs', 'Co', 'Cn', 'Zl', 'Zp')
_JOINERS = '\u200c\u200d'  # parts of words in some scripts


def printable(text: str) -> str:
    """Write characters that cannot be seen, or that no file can hold, as escapes.

    Control characters, marks of direction, halves of surrogate pairs (as in file names that are no
    UTF-8) and unassigned ones become ``\\n``, ``\\x1b``, ``\\u202e``, ``\\udcff`` and so on.
    """
    return ''.join(
        c.encode('unicode_escape').decode('ascii')
        if unicodedata.category(c) in _HIDDEN and c not in _JOINERS
        else c
        for c in text
    )


def shorten(text: str, length: int) -> str:
    """Cut a text that has more characters, and end it with an ellipsis."""
    return text if len(text) <= length else f'{text[: length - 1]}…'


def character_name(character: str) -> str:
    """The code and the Unicode name of a character, such as ``U+00C9 LATIN CAPITAL LETTER E…``."""
    name = unicodedata.name(character, unicodedata.category(character))
    return f'U+{ord(character):04X} {name}'
