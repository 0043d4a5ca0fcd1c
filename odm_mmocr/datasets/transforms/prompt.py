"""The prompt: which words the model is told, and so whose ink must appear.

Nothing here deletes an instance. A word that is dropped stays in the annotation, so that its ink in
a prediction can be measured as a leak. All draws come from numpy's global generator.
"""

import unicodedata
from collections.abc import Sequence
from os import PathLike

import numpy as np
from mmcv.transforms import BaseTransform
from mmocr.registry import TRANSFORMS

from odm_mmocr.synthesis.words import WordSource

from ..vocabulary import Vocabulary, as_drawn, build_vocabulary


def check_spotting(results: dict) -> None:
    """Check that `results` holds text-spotting annotations with all keys in step.

    Of a data set that has boxes but no polygons, level quadrilaterals are set as `gt_polygons`.
    Texts become those of :func:`.as_drawn`: what looks the same is one word of the prompt.

    Args:
        results (dict): A pipeline's results.

    Raises:
        ValueError: If `gt_polygons`, `gt_texts` or `gt_ignored` is missing, or they are not of one
            length.
    """
    image = results.get('img_path')
    keys = ('gt_polygons', 'gt_texts', 'gt_ignored')
    if 'gt_polygons' not in results and 'gt_bboxes' in results:
        corners = np.asarray(results['gt_bboxes'], np.float32).reshape(-1, 4)
        results['gt_polygons'] = list(corners[:, [0, 1, 2, 1, 2, 3, 0, 3]])
    for key in keys:
        if key not in results:
            raise ValueError(
                f'{image}: there is no {key!r}. ODM needs text-spotting annotations (polygon, '
                'ignore and text of every instance), loaded by '
                'LoadOCRAnnotations(with_polygon=True, with_text=True), or with_bbox=True where '
                'there are only boxes'
            )
    lengths = [len(results[key]) for key in keys]
    if len(set(lengths)) > 1:
        raise ValueError(
            f'{image}: {lengths[0]} polygons, {lengths[1]} texts and {lengths[2]} ignore flags are '
            'out of step. Some geometry transforms of MMOCR crop polygons without their texts: '
            'use WarpScene instead'
        )
    results['gt_texts'] = [as_drawn(text) for text in results['gt_texts']]


def readable(results: dict) -> np.ndarray:
    """(N,) bool: the instances that are not ignored and have a text."""
    has_text = np.array([bool(text.strip()) for text in results['gt_texts']], bool)
    return has_text & ~np.asarray(results['gt_ignored'], bool)


def ensure_prompt(results: dict, max_words: int = 32) -> dict:
    """Set the prompt to every readable text, where no prompt has been set yet.

    A text that stands in the image several times is one word of the prompt. Of more than
    `max_words` texts a random choice is prompted, the others count as dropped. Where the caller has
    set `prompt_texts` alone, that stays the prompt.

    Args:
        results (dict): A pipeline's results with `gt_polygons`, `gt_texts` and `gt_ignored`.
        max_words (int): Most words of a prompt. Defaults to 32.

    Returns:
        dict: `results` with `prompt_texts` (list of str), `prompt_noise` (list of bool: the word is
        not in the image) and `gt_prompted` (N,) bool: the instances whose ink must appear.

    Raises:
        ValueError: If the annotations are not for text spotting.
    """
    if 'gt_prompted' in results:
        return results
    check_spotting(results)
    if 'prompt_texts' in results:
        return _set_prompt(results, [as_drawn(text) for text in results['prompt_texts']])
    is_readable = readable(results)
    texts = [text for text, ok in zip(results['gt_texts'], is_readable.tolist()) if ok]
    return _set_prompt(results, _choose(list(dict.fromkeys(texts)), max_words), is_readable)


@TRANSFORMS.register_module()
class DropText(BaseTransform):
    """Drop-Text: leave a random share of the words out of the prompt.

    Words are dropped by string: a text that stands in the image twice is dropped twice, since the
    prompt cannot tell the two apart. Place it after all geometry.

    Required Keys:

    - gt_polygons (list[np.float32]), or gt_bboxes (np.float32), of which they are made
    - gt_texts (list[str])
    - gt_ignored (np.bool_)
    - prompt_texts (list[str]) (optional)

    Added Keys:

    - prompt_texts (list[str])
    - prompt_noise (list[bool])
    - gt_prompted (np.bool_)

    Args:
        ratio (tuple[float, float]): Smallest and largest share of the words to drop, 0 to 1. The
            number that results is rounded up or down by chance, so that the share is kept on
            average in images of few words too. Defaults to (0.1, 0.3).
        min_words (int): Words that stay at least. Defaults to 1.
        max_words (int): Most words of a prompt. Defaults to 32.

    Source: ODM (arXiv 2403.00303), Text-Controller.
    """

    def __init__(
        self, ratio: Sequence[float] = (0.1, 0.3), min_words: int = 1, max_words: int = 32
    ) -> None:
        if min_words < 0:
            raise ValueError(f'DropText: min_words must be 0 or more, not {min_words}')
        self.ratio = _check_ratio(self, ratio)
        self.min_words = min_words
        self.max_words = _check_max_words(self, max_words)

    def transform(self, results: dict) -> dict:
        """Drop words from the prompt of `results`."""
        ensure_prompt(results, self.max_words)
        prompt = list(zip(results['prompt_texts'], results['prompt_noise']))
        shown = [text for text, is_noise in prompt if not is_noise]
        noise = [text for text, is_noise in prompt if is_noise]
        count = min(_draw_count(self.ratio, len(shown)), max(len(shown) - self.min_words, 0))
        return _set_prompt(results, _choose(shown, len(shown) - count) + noise)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(ratio={self.ratio}, min_words={self.min_words}, '
            f'max_words={self.max_words})'
        )


@TRANSFORMS.register_module()
class NoiseText(BaseTransform):
    """Noise-Text: add words to the prompt that the image does not show.

    A noise word differs, case and punctuation around it aside, from every text of the image and
    every word in these, ignored ones included. Place it after all geometry.

    Required Keys:

    - gt_polygons (list[np.float32]), or gt_bboxes (np.float32), of which they are made
    - gt_texts (list[str])
    - gt_ignored (np.bool_)
    - prompt_texts (list[str]) (optional)

    Added Keys:

    - prompt_texts (list[str])
    - prompt_noise (list[bool])
    - gt_prompted (np.bool_)

    Args:
        ratio (tuple[float, float]): Smallest and largest number of noise words as a share of the
            prompted words (an image without any counts as one). The number that results is rounded
            up or down by chance. Defaults to (0.1, 0.3).
        words (Sequence[str] or path, optional): The words to draw from, or a file of them, one a
            line. Defaults to None: the words, numbers and codes of `odm_mmocr.synthesis`.
        max_words (int): Most words of a prompt; there is noise only where the prompt leaves room.
            Defaults to 32.

    Raises:
        FileNotFoundError: If the word file does not exist.
        ValueError: If there is no word.

    Source: ODM (arXiv 2403.00303), Text-Controller.
    """

    def __init__(
        self,
        ratio: Sequence[float] = (0.1, 0.3),
        words: Sequence[str] | str | PathLike | None = None,
        max_words: int = 32,
    ) -> None:
        self.ratio = _check_ratio(self, ratio)
        self.words = WordSource(words)
        self.max_words = _check_max_words(self, max_words)

    def transform(self, results: dict) -> dict:
        """Add noise words to the prompt of `results`."""
        ensure_prompt(results, self.max_words)
        texts = list(results['prompt_texts'])
        shown = [*results['gt_texts'], *texts]
        taken = {_bare(piece) for text in shown for piece in (text, *text.split())}
        count = _draw_count(self.ratio, max(len(texts), 1))
        count = min(count, self.max_words - len(texts))
        noise = []
        rng = np.random.default_rng(np.random.randint(2**31))
        # The bound on the draws is met only where the image shows nearly every word there is.
        for _ in range(20 * count):
            if len(noise) == count:
                break
            word = self.words(rng)
            if (bare := _bare(word)) not in taken:
                taken.add(bare)
                noise.append(word)
        return _set_prompt(results, texts + noise)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(ratio={self.ratio}, words=<{len(self.words.words)} words>, '
            f'max_words={self.max_words})'
        )


@TRANSFORMS.register_module()
class IgnoreUnknownText(BaseTransform):
    """Ignore instances whose text the vocabulary cannot spell.

    The text encoder would see no more than gaps. Such an instance is neither prompted nor counted
    as background.

    Required Keys:

    - gt_texts (list[str])
    - gt_ignored (np.bool_)

    Modified Keys:

    - gt_ignored (np.bool_)

    Args:
        vocabulary (Vocabulary, dict, str or path, optional): The vocabulary of the model. Defaults
            to None: printable ASCII.
        min_known (float): Smallest share of known characters that a text needs, above 0 up to 1.
            Defaults to 0.5.
    """

    def __init__(
        self,
        vocabulary: Vocabulary | dict | str | PathLike | None = None,
        min_known: float = 0.5,
    ) -> None:
        if not 0 < min_known <= 1:
            raise ValueError(f'min_known must be above 0 and at most 1, not {min_known}')
        self.vocabulary = build_vocabulary(vocabulary)
        self.min_known = min_known

    def transform(self, results: dict) -> dict:
        """Set `gt_ignored` where the text is not known."""
        known = np.array([self.vocabulary.known(text) for text in results['gt_texts']], float)
        results['gt_ignored'] = np.asarray(results['gt_ignored'], bool) | (known < self.min_known)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(vocabulary={self.vocabulary}, min_known={self.min_known})'


def _set_prompt(results: dict, texts: Sequence[str], is_readable: np.ndarray | None = None) -> dict:
    """Prompt `texts`; which of them are noise, and which instances they mean, follows."""
    is_readable = readable(results) if is_readable is None else is_readable
    shown = {text for text, ok in zip(results['gt_texts'], is_readable.tolist()) if ok}
    results['prompt_texts'] = list(texts)
    results['prompt_noise'] = [text not in shown for text in texts]
    among = set(texts)
    results['gt_prompted'] = is_readable & np.array([t in among for t in results['gt_texts']], bool)
    return results


def _bare(text: str) -> str:
    """A text without case and the punctuation around it; all of it where there is nothing else."""
    text = text.strip().casefold()
    kept = [i for i, c in enumerate(text) if unicodedata.category(c)[0] not in 'PS']
    return text[kept[0] : kept[-1] + 1] if kept else text


def _choose(items: list[str], count: int) -> list[str]:
    """A random choice of `count` items, or all if there are no more, in their order."""
    if len(items) <= count:
        return items
    chosen = np.sort(np.random.choice(len(items), count, replace=False))
    return [items[i] for i in chosen]


def _draw_count(ratio: tuple[float, float], total: int) -> int:
    """A random share of `total`, rounded up or down by chance so that its mean is kept."""
    return int(np.random.uniform(*ratio) * total + np.random.uniform())


def _check_ratio(transform: BaseTransform, ratio: Sequence[float]) -> tuple[float, float]:
    low, high = ratio
    if not 0 <= low <= high <= 1:
        raise ValueError(
            f'{type(transform).__name__}: ratio must be (low, high) with 0 <= low <= high <= 1, '
            f'not {ratio}'
        )
    return float(low), float(high)


def _check_max_words(transform: BaseTransform, max_words: int) -> int:
    if max_words < 1:
        raise ValueError(
            f'{type(transform).__name__}: max_words must be at least 1, not {max_words}'
        )
    return max_words
