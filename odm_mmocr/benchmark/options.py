"""Settings of a config by dotted names, which are looked up before anything is trained."""

import copy
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import mmocr.registry
from mmengine.config import Config
from mmengine.registry import Registry, init_default_scope
from mmengine.runner import Runner

Place = tuple[str | int, ...]
LISTED = 20  # names in a message
MISSPELT = 0.85  # likeness from which a name is no other one


def apply_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Replace settings of a config, in place.

    A value replaces what is there, a dictionary too: a single setting in it has a name of its own.

    Args:
        cfg: The config.
        options: Values by the names that :func:`find_places` takes.

    Raises:
        ValueError: There is no such setting; it names the nearest one that there is.
    """
    for name, value in options.items():
        for *path, last in find_places(cfg, name):
            node = cfg
            for step in path:
                node = node[step]
            node[last] = copy.deepcopy(value)


def expand_options(cfg: Config, options: Mapping[str, Any]) -> dict[str, Any]:
    """Write options with dotted names only, as `--cfg-options` takes them.

    Args:
        cfg: The config.
        options: Values by the names that :func:`find_places` takes.

    Returns:
        Values by plain names.

    Raises:
        ValueError: There is no such setting.
    """
    return {
        '.'.join(map(str, place)): value
        for name, value in options.items()
        for place in find_places(cfg, name)
    }


def find_places(cfg: Config, name: str) -> list[Place]:
    """Find the places in a config that a name stands for.

    Args:
        cfg: The config.
        name: Keys and numbers of list items, joined by dots, as in
            `train_dataloader.dataset.pipeline.2.ratio`. Behind two dots stands a type:
            `train_dataloader..DropText.ratio` is the ratio of every `DropText` in the data loader.

    Returns:
        Keys and numbers of each place. The last key is in the config, or is an argument of the
        class that is named there.

    Raises:
        ValueError: There is no such place; it names the nearest one that there is.
    """
    places: list[Place] = [()]
    of_type = False
    steps = name.split('.')
    for number, step in enumerate(steps):
        if not step and number and not of_type and number < len(steps) - 1:
            of_type = True
            continue
        if of_type:
            typed = [found for place in places for found in _typed(_node(cfg, place), place)]
            places = [place for place, kind in typed if kind == step]
            if not places:
                _refuse(name, step, dict.fromkeys(kind for _, kind in typed), 'there is no type')
        else:
            is_last = number == len(steps) - 1
            places = [(*p, _key(_node(cfg, p), step, is_last, name, p)) for p in places]
        of_type = False
    return places


def nearest(wrong: str, known: Collection[str]) -> str:
    """Say what was probably meant.

    Args:
        wrong: The name that was given.
        known: The names that there are.

    Returns:
        The end of a message: the nearest name, or all where none is near and they are few.
    """
    if near := get_close_matches(wrong, known, 1, cutoff=0.5):
        return f'did you mean {near[0]!r}?'
    if len(known) <= LISTED:
        return f'there are {", ".join(known) or "none"}'
    return f'there are {len(known)} others, none of a similar name'


def known_arguments(settings: Mapping) -> tuple[set[str], bool]:
    """Find the arguments of the registered class that the `type` of settings names.

    Args:
        settings: A part of a config.

    Returns:
        Their names, none where there is no such type, and whether the class takes others as well.
    """
    kind = settings.get('type')
    if not isinstance(kind, str):
        return set(), False
    init_default_scope('mmocr')
    registries = (r for r in vars(mmocr.registry).values() if isinstance(r, Registry))
    found = [_arguments(cls) for r in registries if (cls := r.get(kind)) is not None]
    return set().union(*(names for names, _ in found)), any(open_ for _, open_ in found)


def takes_argument(settings: Mapping, name: str) -> bool:
    """Whether the registered class that the `type` of settings names takes an argument."""
    names, others = known_arguments(settings)
    return name in names or others


def walk_typed(settings: Any, place: Place = ()) -> Iterator[tuple[Place, Mapping]]:
    """Yield every dictionary with a `type` in settings, and its place there, outermost first."""
    if isinstance(settings, Mapping):
        if isinstance(settings.get('type'), str):
            yield place, settings
        items = settings.items()
    elif isinstance(settings, list | tuple):
        items = enumerate(settings)
    else:
        return
    for key, value in list(items):
        yield from walk_typed(value, (*place, key))


def _node(cfg: Config, place: Place) -> Any:
    node: Any = cfg
    for step in place:
        node = node[step]
    return node


def _typed(node: Any, place: Place) -> Iterator[tuple[Place, str]]:
    for found, settings in walk_typed(node, place):
        yield found, settings['type'].rpartition('.')[2]


def _key(node: Any, step: str, is_last: bool, name: str, place: Place) -> str | int:
    where = '.'.join(map(str, place)) or 'the config'
    if isinstance(node, list | tuple):
        if step.isdigit() and int(step) < len(node) and isinstance(node, list):
            return int(step)
        kind = 'items 0 to' if isinstance(node, list) else 'a fixed list up to'
        raise ValueError(f'option {name}: {where} has {kind} {len(node) - 1}, no {step!r}')
    if not isinstance(node, Mapping | Config):
        raise ValueError(f'option {name}: {where} is {node!r}, there is no {step!r} in it')
    known, takes_others = set(node.keys()), False
    if is_last and step not in known:
        more, takes_others = (
            _arguments(Runner) if isinstance(node, Config) else known_arguments(node)
        )
        known |= more
    misspelt = not step or get_close_matches(step, known, 1, cutoff=MISSPELT)
    if step not in known and (misspelt or not takes_others):
        _refuse(name, step, known, f'{where} has no')
    return step


def _refuse(name: str, step: str, known: Collection[str], reason: str) -> None:
    raise ValueError(f'option {name}: {reason} {step!r}; {nearest(step, sorted(known))}')


def _arguments(cls: Callable) -> tuple[set[str], bool]:
    """Of the constructors up to the first that hands on no further keyword arguments."""
    names: set[str] = set()
    constructors = (
        [vars(part).get('__init__') for part in inspect.getmro(cls)]
        if (inspect.isclass(cls))
        else [cls]
    )
    takes_others = False
    for constructor in filter(inspect.isfunction, constructors):
        parameters = inspect.signature(constructor).parameters.values()
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        handed_on = any(p.kind == p.VAR_KEYWORD for p in parameters)
        takes_others = takes_others or handed_on
        if not handed_on:
            break
    return names - {'self'}, takes_others
