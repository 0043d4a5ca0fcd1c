"""Why a word cannot be drawn."""


class Undrawable(ValueError):
    """A word of an annotation cannot be drawn; the message says what is wrong with it.

    Attributes:
        kind: What is at fault, in a few words that do not depend on the instance: for counting.
    """

    kind = 'unusable annotation'


class UnusableText(Undrawable):
    """The text is empty, too long, without ink, or of a script that this Pillow cannot shape."""

    kind = 'unusable text'


class UncoveredText(Undrawable):
    """No font has a glyph for some character of the text."""

    kind = 'no font for the text'


class UnusablePolygon(Undrawable):
    """The polygon is none that text fits into."""

    kind = 'unusable polygon'


class TooSmall(UnusablePolygon):
    """The polygon is shorter or lower than a pixel: by its scale, not by a mistake."""

    kind = 'polygon below a pixel'


class UnusableCharacters(ValueError):
    """The character boxes of a word do not fit its text; it is drawn along its polygon instead."""

    kind = 'unusable character boxes'
