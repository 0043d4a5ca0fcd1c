"""Prompts that a user hands over: which words for which image."""

import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mmengine.logging import print_log

from odm_mmocr.datasets.vocabulary import Vocabulary, as_drawn
from odm_mmocr.pseudo_label import ReadWord

from .inputs import InputImage

Words = Sequence[str] | Sequence[Sequence[str] | None] | Mapping[str, Sequence[str]] | None


def assign_words(words: Words, images: Sequence[InputImage]) -> list[list[str] | None]:
    """Say which words belong to which image.

    Args:
        words: A list of str, for all images; a list of lists, one for each image; a dict from the
            path, file name or stem of an image to its list; or None. None, also in place of a list,
            stands for what an OCR engine will read. An empty list is a prompt too. Entries of a
            dict that no image uses are logged.
        images: From :func:`list_inputs`.

    Returns:
        For each image its words, as given, or None.

    Raises:
        ValueError: The words are of another form, or do not belong to all images.
    """
    if words is None:
        return [None] * len(images)
    if isinstance(words, Mapping):
        return _look_up_all(words, images)
    if isinstance(words, str) or not isinstance(words, Sequence):
        raise ValueError(
            f'words={words!r} is a {type(words).__name__}; expected a list of words, such as '
            "['open', 'exit'], a list of lists, or a dict from file name to list"
        )
    if not any(_is_list(entry) or entry is None for entry in words):
        return [list(words)] * len(images)
    for number, entry in enumerate(words):
        if not (_is_list(entry) or entry is None):
            raise ValueError(
                f'words[{number}]={entry!r} stands beside lists; expected words alone (for all '
                'images) or lists alone (one for each image)'
            )
    if len(words) != len(images):
        raise ValueError(
            f'{len(words)} lists of words for {len(images)} images; expected one for each image, '
            'or one list of words for all'
        )
    return [None if entry is None else list(entry) for entry in words]


def read_words(path: str | os.PathLike) -> Words:
    """Read a prompt from a JSON file: a list or an object, as :func:`assign_words` takes them.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no JSON file, or holds something else.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'there is no file of words {path}')
    try:
        words = json.loads(path.read_text(encoding='utf-8-sig'))
    except (ValueError, RecursionError) as error:  # of JSON or of UTF-8
        raise ValueError(f'{path} is no JSON file: {error}') from error
    if not isinstance(words, list | dict):
        raise ValueError(
            f'{path} holds a {type(words).__name__}; expected a list of words, a list of lists, or '
            'an object from file name to list'
        )
    return words


def check_words(words: Iterable[str], vocabulary: Vocabulary, label: str) -> list[str]:
    """Check a prompt; words become those of :func:`.as_drawn`, and stand in it once.

    Args:
        words: The words.
        vocabulary: Of the model.
        label: What messages call the image.

    Returns:
        The words of the prompt, each once, as training has them.

    Raises:
        ValueError: A word is no string, blank, holds a blank that the vocabulary lacks, or has no
            character that the model knows.
    """
    checked = []
    for word in words:
        if not isinstance(word, str):
            raise ValueError(
                f'{label}: the word {word!r} is a {type(word).__name__}; expected strings'
            )
        text = as_drawn(word)
        if not text:
            raise ValueError(
                f'{label}: the word {word!r} is blank; leave it out (an empty list is a prompt of '
                'no words)'
            )
        if len(parts := text.split()) > 1 and ' ' not in vocabulary.characters:
            raise ValueError(
                f'{label}: {text!r} holds a blank, which the model does not know; give '
                f'{len(parts)} words: {", ".join(map(repr, parts))}'
            )
        if not vocabulary.known(text):
            raise ValueError(
                f'{label}: the model knows no character of the word {text!r}; its '
                f'{len(vocabulary.characters)} characters are {_shortened(vocabulary.characters)}'
            )
        checked.append(text)
    return list(dict.fromkeys(checked))


def choose_read_words(
    read: Iterable[ReadWord], vocabulary: Vocabulary, max_words: int
) -> tuple[list[str], dict[str, str]]:
    """Make a prompt of what an OCR engine has read.

    Args:
        read: The words.
        vocabulary: Of the model.
        max_words: Most words of a prompt.

    Returns:
        The prompt, the words read with the highest scores, in the order of ``read``; and why each
        of the others is left out.
    """
    scores: dict[str, float] = {}
    for word in read:
        text = as_drawn(word.text)
        scores[text] = max(word.score, scores.get(text, 0.0))
    left_out = {}
    longest = vocabulary.max_characters - 1
    for text in scores:
        if len(text) > longest:
            left_out[text] = f'(more than {longest} characters)'
        elif not vocabulary.known(text):
            left_out[text] = '(no character that the model knows)'
    fitting = [text for text in scores if text not in left_out]
    best = set(sorted(fitting, key=lambda text: -scores[text])[:max_words])
    for text in fitting:
        if text not in best:
            left_out[text] = f'({max_words} words were read with higher scores)'
    return [text for text in fitting if text in best], left_out


def unknown_characters(words: Iterable[str], vocabulary: Vocabulary) -> list[str]:
    """List the characters of words that a vocabulary lacks, sorted."""
    return sorted({c for word in words for c in word} - set(vocabulary.characters))


def _look_up_all(
    words: Mapping[str, Sequence[str]], images: Sequence[InputImage]
) -> list[list[str] | None]:
    by_path = {}
    for key, entry in words.items():
        if not isinstance(key, str | os.PathLike):
            raise ValueError(
                f'the dict of words has the key {key!r}, a {type(key).__name__}; expected the '
                'path, file name or stem of an image'
            )
        by_path[os.fspath(key)] = entry
    keys = [_find_key(by_path, image) for image in images]
    used = set(keys)
    if unused := [key for key in by_path if key not in used]:
        print_log(
            f'no image uses {len(unused)} of {len(by_path)} entries of the dict of words: '
            f'{", ".join(unused[:3])}{", …" if len(unused) > 3 else ""}',
            logger='current',
            level=logging.WARNING,
        )
    return [None if by_path[key] is None else list(by_path[key]) for key in keys]


def _find_key(by_path: Mapping[str, Sequence[str]], image: InputImage) -> str:
    if not isinstance(image.source, Path):
        raise ValueError(
            f'{image.label} has no file name to look up in the dict of words; give a list of lists'
        )
    for key in (str(image.source), image.source.name, image.source.stem):
        if key in by_path:
            found = by_path[key]
            if not (_is_list(found) or found is None):
                raise ValueError(f'the words of {key} are {found!r}; expected a list of words')
            return key
    raise ValueError(
        f'the dict of words has no entry {image.source} and no {image.source.name}; an empty list '
        'is a prompt of no words'
    )


def _is_list(entry: object) -> bool:
    return isinstance(entry, list | tuple)


def _shortened(characters: str, longest: int = 100) -> str:
    return characters if len(characters) <= longest else f'{characters[:longest]}…'
