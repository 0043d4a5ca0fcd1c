"""What the preparation of every data set has in common: the report, and files written whole."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class PreparationError(ValueError):
    """The files given cannot be prepared at all."""


@dataclass
class Report:
    """What a preparation has found and written.

    Attributes:
        counts: For each split, the number of `images`, `words` and `readable` words.
        problems: What is wrong, each with its file and, where there is one, line.
        written: The annotation files; none where there were problems that may not be skipped.
    """

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)


def write_splits(splits: Mapping[str, dict], out: Path) -> list[Path]:
    """Write annotations as `textspotting_<split>.json`, all or none of them.

    Args:
        splits (Mapping[str, dict]): Annotations in MMOCR's format, for each split.
        out (Path): The folder, made where it does not exist.

    Returns:
        list[Path]: The files.
    """
    out.mkdir(parents=True, exist_ok=True)
    pairs = []
    try:
        for split, annotations in splits.items():
            target = out / f'textspotting_{split}.json'
            partial = target.with_suffix(f'.json.{os.getpid()}.partial')
            pairs.append((partial, target))
            partial.write_text(json.dumps(annotations, ensure_ascii=False), encoding='utf-8')
        for partial, target in pairs:
            partial.replace(target)
    finally:
        for partial, _ in pairs:
            partial.unlink(missing_ok=True)
    return [target for _, target in pairs]


def count_words(annotations: dict) -> dict[str, int]:
    """Number of images, words and readable words in annotations of MMOCR's format."""
    images = annotations['data_list']
    words = [instance for image in images for instance in image['instances']]
    return {
        'images': len(images),
        'words': len(words),
        'readable': sum(not word['ignore'] for word in words),
    }
