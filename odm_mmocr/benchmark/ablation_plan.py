"""What an ablation compares: a file of named changes to a pre-training."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from odm_mmocr.checkpoints import find_config, load_config

from .comparison import Plan
from .options import expand_options, nearest
from .protocol import RANDOM, STATISTICS, Start, make_recipes
from .run_config import load_detector

SECTIONS = ('pretrain', 'variants', 'finetune', 'seeds')
# What a variant says besides its options.
WORDS = ('config', 'iterations', 'backbone')
# All variants are judged alike.
VALIDATION = ('val_dataloader', 'val_evaluator', 'val_cfg')
TEST = ('test_dataloader', 'test_evaluator', 'test_cfg')
LENGTH = 'train_cfg.max_iters'


@dataclass(frozen=True)
class Variant:
    """One thing that is compared.

    Attributes:
        name: Its name in tables.
        options: Settings of the pre-training that it changes, by the names of
            :func:`~odm_mmocr.benchmark.options.find_places`.
        config: Another pre-training config than the plan's, or None.
        iterations: Another length than the plan's, or None.
        backbone: A backbone file that is there already, in place of a pre-training.
        random: Whether its detectors start from random weights, without a pre-training.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    config: str | None = None
    iterations: int | None = None
    backbone: str | None = None
    random: bool = False

    def __post_init__(self) -> None:
        _check_whole(self.iterations, 1, f'{self.name}: iterations')

    @property
    def pretrains(self) -> bool:
        """Whether there is a pre-training to do."""
        return not self.random and self.backbone is None

    @property
    def key(self) -> str:
        """A name for folders, and for the start of a detector."""
        return RANDOM if self.random else re.sub('[^A-Za-z0-9.]+', '-', self.name).strip('-')

    def start(self, seed: int, file: str | None = None, fingerprint: str | None = None) -> Start:
        """What detectors start from.

        Args:
            seed: Of the pre-training, where there is one.
            file: The backbone file that it has left.
            fingerprint: Of that file's content.

        Returns:
            The start.
        """
        if not self.pretrains:
            return Start(self.key, self.backbone)
        return Start(f'{self.key}-seed{seed}', file, fingerprint)


@dataclass(frozen=True)
class Pretraining:
    """How variants are pre-trained.

    Attributes:
        config: The base: path or name of a pre-training config.
        options: Settings replaced in it, for all variants that have no config of their own.
        iterations: Length; None: the config's own. The learning rate schedule is scaled with it.
        evaluations: How often each is validated, evenly spread.
        recalibrate: Batches over which BatchNorm's statistics are measured anew before the backbone
            is exported; 0: they stay.
    """

    config: str
    options: Mapping[str, Any] = field(default_factory=dict)
    iterations: int | None = None
    evaluations: int = 4
    recalibrate: int = 50

    def __post_init__(self) -> None:
        for name, least in (('iterations', 1), ('evaluations', 1), ('recalibrate', 0)):
            _check_whole(getattr(self, name), least, f'pretrain.{name}')


@dataclass(frozen=True)
class Finetuning:
    """How the exported backbones are compared; see :class:`odm_mmocr.benchmark.Plan`.

    Attributes:
        config: Path or name of a detector's config.
        options: Settings replaced in it.
        fractions: Shares of the labels.
        seeds: The first is that of the search.
        lr_factors: Learning rates tried for each backbone, relative to the config's.
        batch_norm: `learning`, `frozen`, or both to be tried.
        schedule: `full`, `short` or a number of iterations.
        evaluations: How often each run is evaluated.
        holdout: Share of the training images held out to choose learning rates by.
    """

    config: str
    options: Mapping[str, Any] = field(default_factory=dict)
    fractions: Sequence[float] = (0.1, 1.0)
    seeds: Sequence[int] = (0, 1, 2)
    lr_factors: Sequence[float] = (0.3, 1.0, 3.0)
    batch_norm: Sequence[str] = ('learning',)
    schedule: str | int = 'short'
    evaluations: int = 5
    holdout: float = 0.1

    def __post_init__(self) -> None:
        for name in ('fractions', 'seeds', 'lr_factors', 'batch_norm'):
            _check_list(getattr(self, name), f'finetune.{name}')
        if wrong := set(self.batch_norm) - set(STATISTICS):
            raise ValueError(
                f'finetune.batch_norm: {", ".join(map(repr, wrong))} is neither of '
                f'{", ".join(STATISTICS)}'
            )

    def compared(self, starts: Sequence[Start]) -> Plan:
        """The comparison of starts.

        Raises:
            ValueError: A setting makes no sense, or is not in the config.
        """
        options = expand_options(load_detector(self.config), self.options)
        return Plan(
            config=self.config,
            starts=starts,
            fractions=self.fractions,
            seeds=self.seeds,
            recipes=make_recipes(self.lr_factors, self.batch_norm),
            schedule=str(self.schedule),
            options=options,
            evaluations=self.evaluations,
            holdout=self.holdout,
        )


@dataclass(frozen=True)
class AblationPlan:
    """What is compared, and how.

    Attributes:
        name: Of the plan.
        pretrain: How variants are pre-trained.
        variants: What is compared; the first is what the others are compared with.
        finetune: How their backbones are compared, or None: only the drawing is.
        seeds: Of the pre-training.
        shared: Settings replaced in every pre-training config, such as where the data are.
    """

    name: str
    pretrain: Pretraining
    variants: Sequence[Variant]
    finetune: Finetuning | None
    seeds: Sequence[int] = (0,)
    shared: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.variants:
            raise ValueError(f'{self.name} has no variants')
        keys: dict[str, str] = {}
        for variant in self.variants:
            other = keys.setdefault(variant.key, variant.name)
            if other != variant.name or not variant.key:
                raise ValueError(
                    f'{self.name}: {variant.name!r} cannot be told from {other!r} in the name of a '
                    'folder, which has letters, digits and "." only; give another name'
                )
            if variant.key == RANDOM and not variant.random:
                raise ValueError(
                    f'{self.name}: the variant {variant.name!r} is to be None, since the name '
                    'stands for random weights; give another name'
                )
        _check_list(self.seeds, f'{self.name}: seeds')
        self._check_starts()
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(
                f'{self.name}: seeds are different whole numbers from 0, not {self.seeds}'
            )

    def _check_starts(self) -> None:
        owners: dict[str, Variant] = {}
        for variant in self.variants:
            for seed in self.seeds:
                name = variant.start(seed).name
                if owners.setdefault(name, variant) is not variant:
                    raise ValueError(
                        f'{self.name}: {variant.name!r} cannot be told from a seed of '
                        f'{owners[name].name!r}, as detectors of both start from {name!r}; give '
                        'another name'
                    )

    @property
    def reference(self) -> Variant:
        """What the others are compared with."""
        return self.variants[0]

    def choose(self, names: Sequence[str]) -> list[Variant]:
        """Choose variants by their names.

        Args:
            names: Some of them; none: all.

        Returns:
            The variants, in the order of the plan.

        Raises:
            ValueError: There is no such variant; it names the nearest one.
        """
        known = [variant.name for variant in self.variants]
        for name in names:
            if name not in known:
                raise ValueError(f'{self.name} has no variant {name!r}; {nearest(name, known)}')
        return [variant for variant in self.variants if not names or variant.name in names]


def load_plan(
    name: str,
    pretrain_options: Mapping[str, Any] | None = None,
    finetune_options: Mapping[str, Any] | None = None,
) -> AblationPlan:
    """Read the file of a plan.

    Args:
        name: Its path or name; it is found, and may inherit, like a config.
        pretrain_options: Settings replaced in every pre-training config.
        finetune_options: Settings replaced in the config of the detector.

    Returns:
        The plan.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It lacks something, or has a name in it that means nothing.
    """
    content = load_config(name).to_dict()
    title = find_config(name).stem
    given = {key: value for key, value in content.items() if not key.startswith('_')}
    _refuse_unknown(given, SECTIONS, title)
    for section in ('pretrain', 'variants'):
        if not isinstance(given.get(section), dict):
            raise ValueError(f'{title}: {section} is missing, a dictionary; it has {list(given)}')
    finetune = given.get('finetune')
    if not isinstance(finetune, dict | None):
        raise ValueError(f'{title}: finetune is {finetune!r}; a dictionary is needed, or None')
    return AblationPlan(
        name=title,
        pretrain=_section(Pretraining, given['pretrain'], f'{title}: pretrain'),
        variants=[_variant(key, said, title) for key, said in given['variants'].items()],
        finetune=None
        if finetune is None
        else _section(
            Finetuning,
            dict(finetune, options={**finetune.get('options', {}), **(finetune_options or {})}),
            f'{title}: finetune',
        ),
        seeds=given.get('seeds', (0,)),
        shared=pretrain_options or {},
    )


def refuse_common(options: Mapping[str, Any], where: str) -> None:
    """Refuse options of a variant that are equal for all variants.

    Args:
        options: Of the variant.
        where: What messages call it.

    Raises:
        ValueError: One is of the validation, or of the length of the training.
    """
    for name in options:
        if name.split('.')[0] in VALIDATION + TEST:
            raise ValueError(
                f'{where}: option {name}: all variants are validated alike; it may stand in '
                'pretrain.options'
            )
        if name == LENGTH:
            raise ValueError(f'{where}: option {name}: say iterations=… instead')


def without_validation(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are of a pre-training itself, not of its validation and test."""
    return {k: v for k, v in options.items() if k.split('.')[0] not in VALIDATION + TEST}


def _variant(name: str, said: Mapping[str, Any] | None, title: str) -> Variant:
    if said is None:
        return Variant(name, random=True)
    where = f'{title}: variant {name!r}'
    if not isinstance(said, Mapping):
        raise ValueError(f'{where} is {said!r}; a dictionary of options is needed, or None')
    options = {key: value for key, value in said.items() if key not in WORDS}
    words = {key: value for key, value in said.items() if key in WORDS}
    if 'backbone' in words and (options or len(words) > 1):
        raise ValueError(f'{where} has a backbone file: nothing of a pre-training can be set')
    refuse_common(options, where)
    return Variant(name, options, **words)


def _section(kind: type, said: Mapping[str, Any], where: str) -> Any:
    known = [f.name for f in fields(kind)]
    _refuse_unknown(said, known, where)
    if 'config' not in said:
        raise ValueError(f'{where}: config is missing')
    return kind(**said)


def _check_whole(value: Any, least: int, what: str) -> None:
    if value is not None and (not isinstance(value, int) or value < least):
        raise ValueError(f'{what} is a whole number from {least}, not {value!r}')


def _check_list(value: Any, what: str) -> None:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f'{what} is a list, not {value!r}')


def _refuse_unknown(given: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for name in given:
        if name not in known:
            raise ValueError(f'{where}: {name!r} means nothing; {nearest(name, known)}')
