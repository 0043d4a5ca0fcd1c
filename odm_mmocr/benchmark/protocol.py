"""What is compared, and what is equal for everything that is compared."""

import hashlib
import itertools
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from odm_mmocr.output_files import written_whole

RANDOM = 'random'
RANDOM_WEIGHTS = 'random weights, no residual branch at zero'  # for people, and to tell runs apart
STATISTICS = ('learning', 'frozen')  # of BatchNorm
PROTOCOL = 'protocol.json'


@dataclass(frozen=True)
class Start:
    """What a backbone starts from.

    Attributes:
        name: Its name in tables.
        file: Backbone file, or None for random weights.
        fingerprint: Of the file's content, where it is known: such a file is not read again once
            it is copied, and may be gone once its runs are made.
    """

    name: str
    file: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, order=True)
class Recipe:
    """What is searched for each start, so that each is shown at its best.

    Attributes:
        lr_factor: The learning rate, relative to the config's.
        frozen_statistics: Whether BatchNorm of the backbone normalises with the statistics it
            starts with (`norm_eval`), instead of those of the batch.
    """

    lr_factor: float = 1.0
    frozen_statistics: bool = False

    def __post_init__(self) -> None:
        if not (self.lr_factor > 0 and math.isfinite(self.lr_factor)):
            raise ValueError(f'a learning rate factor is above 0, not {self.lr_factor}')

    def __str__(self) -> str:
        return f'lr{self.lr_factor:g}' + ('-bn-frozen' if self.frozen_statistics else '')


def make_recipes(lr_factors: Iterable[float], batch_norm: Sequence[str]) -> list[Recipe]:
    """Combine learning rates with what BatchNorm does.

    Args:
        lr_factors: Learning rates, relative to the config's.
        batch_norm: Of :data:`STATISTICS`.

    Returns:
        A recipe for each pair.
    """
    return [Recipe(f, kind == 'frozen') for f, kind in itertools.product(lr_factors, batch_norm)]


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        start: Name of the start.
        fraction: Share of the labelled images, above 0, up to 1.
        seed: Of the choice of images, of the weights that are drawn, of the data.
        recipe: Learning rate and BatchNorm.
    """

    start: str
    fraction: float
    seed: int
    recipe: Recipe

    @property
    def name(self) -> str:
        """A name for its folder."""
        return f'{self.start}_{percent(self.fraction)}pc_{self.recipe}_seed{self.seed}'


@dataclass(frozen=True)
class Protocol:
    """What all runs of a comparison share.

    Attributes:
        config: Path of the detector's config.
        options: Settings replaced in it.
        iterations: Length of each run.
        evaluations: How often each is evaluated on the test images, evenly spread.
        holdout: Share of the training images that no run trains on; recipes are chosen by them.
    """

    config: str
    iterations: int
    options: dict = field(default_factory=dict)
    evaluations: int = 5
    holdout: float = 0.1

    def __post_init__(self) -> None:
        if self.iterations < 1 or not 1 <= self.evaluations <= self.iterations:
            raise ValueError(
                f'{self.iterations} iterations with {self.evaluations} evaluations: at least one '
                'of each is needed, and not more evaluations than iterations'
            )
        if not 0 <= self.holdout < 1:
            raise ValueError(f'holdout must be at least 0 and below 1, not {self.holdout}')


def percent(fraction: float) -> str:
    """A share for people: `0.1` is `10`."""
    return f'{100 * fraction:g}'


def split_labels(images: int, holdout: float) -> tuple[np.ndarray, np.ndarray]:
    """Split training images into those that may be trained on and those that are held out.

    Args:
        images: Their number.
        holdout: Share that is held out.

    Returns:
        Indices of the ones and of the others, int64; the same in every run.

    Raises:
        ValueError: The share is above 0, but no image.
    """
    order = np.random.default_rng(0).permutation(images)
    held = round(images * holdout)
    if holdout and not held:
        raise ValueError(f'holdout {holdout} of {images} images is none')
    return order[held:], np.sort(order[:held])


def choose_labels(pool: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Choose images at random; larger shares contain the smaller ones of the same seed.

    Args:
        pool: Indices to choose from.
        fraction: Share, above 0, up to 1.
        seed: Of the choice.

    Returns:
        Indices, ascending.

    Raises:
        ValueError: The share is out of range, or leaves no image.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f'a share of the labels is above 0 and up to 1, not {fraction}')
    count = round(len(pool) * fraction)
    if not count:
        raise ValueError(f'{fraction} of {len(pool)} images is none')
    return np.sort(np.random.default_rng((1, seed)).permutation(pool)[:count])


def search_runs(
    starts: Iterable[Start], fractions: Iterable[float], recipes: Iterable[Recipe], seed: int
) -> list[Run]:
    """Every recipe for every start and share, with one seed."""
    recipes = list(recipes)
    return [
        Run(start.name, fraction, seed, recipe)
        for fraction in fractions
        for start in starts
        for recipe in recipes
    ]


def final_runs(chosen: dict[tuple[str, float], Recipe], seeds: Sequence[int]) -> list[Run]:
    """The chosen recipe of every start and share with other seeds than that of the search.

    Args:
        chosen: By name of the start and share of the labels.
        seeds: The others.

    Returns:
        The runs, seed by seed.
    """
    return [
        Run(start, fraction, seed, recipe)
        for seed in seeds
        for (start, fraction), recipe in chosen.items()
    ]


def keep_protocol(protocol: Protocol, folder: str | os.PathLike) -> None:
    """Record the protocol in a folder of runs, or compare it with the one that is there.

    Of the config its name counts, so that runs can go on in another place and on another machine;
    its content is for :func:`keep_inputs`.

    Args:
        protocol: Of the runs to come.
        folder: Made where it does not exist.

    Raises:
        ValueError: The runs in it have another protocol; it names what differs.
    """
    path = Path(folder) / PROTOCOL
    new = json.loads(json.dumps(dict(asdict(protocol), config=Path(protocol.config).name)))
    if path.is_file():
        old = read_json(path)
        differing = [key for key in new if old.get(key) != new[key]]
        if differing:
            raise ValueError(
                f'{folder} holds runs of another protocol; give another --out, or as before: '
                + '; '.join(f'{key} {old.get(key)!r}, not {new[key]!r}' for key in differing)
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as file:
        file.write(json.dumps(new, indent=1).encode())


def keep_inputs(inputs: Mapping[str, str], folder: str | os.PathLike) -> None:
    """Record fingerprints of what runs are made from, or compare them with those that are there.

    A name or a path stays when the content changes, and then runs of two kinds would be averaged.

    Args:
        inputs: By what it is, for people, such as `start odm`. New ones are added.
        folder: Of the runs.

    Raises:
        ValueError: Runs in the folder were made from another content; it names what differs.
    """
    path = Path(folder) / 'inputs.json'
    old = read_json(path) if path.is_file() else {}
    if differing := [name for name in inputs if old.get(name, inputs[name]) != inputs[name]]:
        raise ValueError(
            f'{folder} holds runs made with another content of: {", ".join(differing)}; give '
            'another --out, or a changed start another name'
        )
    with written_whole(path) as file:
        file.write(json.dumps({**old, **inputs}, indent=1).encode())


def file_digest(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def read_json(path: Path) -> dict:
    """Read a file that a comparison has written.

    Raises:
        ValueError: It is cut off; it names it.
    """
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(
            f'{path} cannot be read ({error}); remove it, and it is made again'
        ) from error
