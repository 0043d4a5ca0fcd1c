"""Configs: found by name, and read from the text that a checkpoint carries."""

import ast
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import MODELS, TASK_UTILS, WEIGHT_INITIALIZERS

PACKAGES = ('odm_mmocr', 'mmocr')


def config_folders(package: str) -> list[Path]:
    """List the folders in which an installed package keeps its configs.

    Args:
        package: Name of an OpenMMLab package.

    Returns:
        Its `.mim/configs`; for a development install also the `configs` of the repository.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return []
    root = Path(spec.origin).parent
    folders = [root / '.mim' / 'configs']
    if (root.parent / 'setup.py').is_file():
        folders.append(root.parent / 'configs')
    return [folder for folder in folders if folder.is_dir()]


def find_config(name: str) -> Path:
    """Find a config by path, by `package::path`, or by its bare file name.

    Args:
        name: `my/config.py`; `mmocr::textdet/dbnet/….py`; or `odm_pretrain.py`, with or without
            `.py`, which is looked for in the folder at hand, in this package, then in MMOCR.

    Returns:
        Path of the config.

    Raises:
        FileNotFoundError: There is no such config.
        ValueError: Several configs of a package have that name.
    """
    package, separator, inner = name.partition('::')
    if separator:
        folders = config_folders(package)
        for folder in folders:
            if (folder / inner).is_file():
                return folder / inner
        looked = ', '.join(map(str, folders)) or f'{package} is not installed or has no configs'
        raise FileNotFoundError(f'no config {inner} in {package} ({looked})')
    path = Path(name).expanduser()
    if path.is_file():
        return path
    base_name = path.name if path.suffix else f'{path.name}.py'
    for package in PACKAGES if path.name == name else ():
        found = {p.resolve() for f in config_folders(package) for p in f.rglob(base_name)}
        if len(found) == 1:
            return found.pop()
        if found:
            listed = ', '.join(map(str, sorted(found)))
            raise ValueError(f'{name} is the name of several configs, give a path: {listed}')
    raise FileNotFoundError(
        f'no config {name}: neither a file seen from {Path.cwd()} nor the name of a config of '
        f'{" or ".join(PACKAGES)}'
    )


def load_config(name: str, options: dict | None = None) -> Config:
    """Load a config that :func:`find_config` finds.

    Args:
        name: Its path or name.
        options: Settings to replace, with dotted keys, as `--cfg-options` gives them.

    Returns:
        The config.

    Raises:
        FileNotFoundError: There is no such config.
        ValueError: Several configs have that name, the file is no config, or an option does not
            fit it: a part that is no dictionary has no settings, a list no such place.
    """
    path = find_config(name)
    if path.suffix not in ('.py', '.yml', '.yaml', '.json'):
        raise ValueError(f'{path} is no config: a config ends in .py')
    try:
        cfg = Config.fromfile(path)
    except OSError:
        raise
    except Exception as error:
        # MMEngine executes the file, which can fail in any way.
        raise ValueError(f'{path} does not load: {type(error).__name__}: {error}') from error
    try:
        cfg.merge_from_dict(options or {})
    except (KeyError, TypeError) as error:
        raise ValueError(f'{path} does not take {options}: {error}') from error
    return cfg


class ConfigOptions(DictAction):
    """Argument `--cfg-options KEY=VALUE …`; a value without a key is a message, not a traceback."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Read the options into a dictionary."""
        if wrong := [value for value in values if '=' not in value]:
            parser.error(f'{option_string}: KEY=VALUE is needed, not {" ".join(wrong)}')
        super().__call__(parser, namespace, values, option_string)


def external_name(path: Path) -> str | None:
    """Name a stock config of MMOCR the way `_base_` can, wherever MMOCR is installed.

    Args:
        path: Path of a config.

    Returns:
        `mmocr::textdet/…`, or None when the config is not one of MMOCR's.
    """
    for folder in config_folders('mmocr'):
        if path.resolve().is_relative_to(folder.resolve()):
            return f'mmocr::{path.resolve().relative_to(folder.resolve()).as_posix()}'
    return None


def read_config_text(text: str) -> dict:
    """Read the config text of a checkpoint without executing it.

    MMEngine executes config files. A checkpoint may come from anywhere, so its text is only
    parsed: assignments of literals and `dict(…)`, which is all that MMEngine dumps.

    Args:
        text: `checkpoint['meta']['cfg']`.

    Returns:
        The settings, as plain types.

    Raises:
        ValueError: The text holds anything else.
    """
    try:
        statements = ast.parse(text).body
        return {_name(statement): _literal(statement.value) for statement in statements}
    except (
        SyntaxError,
        ValueError,
        AttributeError,
        TypeError,
        RecursionError,
        MemoryError,  # of the parser, about brackets in brackets
    ) as error:
        raise ValueError(
            f'the config text in the checkpoint is not what mmengine dumps: {error}'
        ) from error


def require_registered(settings: object, source: str) -> None:
    """Refuse the config of a network, out of a file, that names anything but registered classes.

    MMEngine resolves every name that is not registered as an import path: `os.system`, or
    `mmengine.put_text`, which writes files, would be called with the settings beside it.

    Args:
        settings: The config, or a part of it.
        source: What messages call it.

    Raises:
        ValueError: A `type` is no registered class.
    """
    for part in walk_settings(settings):
        name = part.get('type')
        if isinstance(name, str) and not is_registered(name):
            raise ValueError(
                f'{source} has the type {name!r}, which is no registered class; import the package '
                'that registers it (custom_imports)'
            )


def walk_settings(settings: object) -> Iterator[Mapping]:
    """Yield all dictionaries in a config, outermost first."""
    if isinstance(settings, Mapping):
        yield settings
        settings = list(settings.values())
    if isinstance(settings, list | tuple):
        for part in settings:
            yield from walk_settings(part)


def is_registered(name: str) -> bool:
    """Whether a `type` is a registered class, by its name there or by its import path.

    Nothing is imported by that name.
    """
    scope, _, bare = name.rpartition('.')
    if scope in MODULE2PACKAGE and find_spec(scope):
        import_module(f'{scope}.registry')
    for root in (MODELS, TASK_UTILS, WEIGHT_INITIALIZERS):
        for registry in (root, *root.children.values()):
            if registry.scope in (scope, 'mmocr', root.scope):
                registry.import_from_location()
            known = registry.module_dict.get(bare)
            if known is None:
                continue
            place = getattr(known, '__module__', ''), getattr(known, '__qualname__', '')
            if scope in ('', registry.scope) or '.'.join(place) == name:
                return True
    return False


def _name(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    raise ValueError(f'line {statement.lineno} is no assignment to a name')


def _literal(node: ast.expr):
    match node:
        case ast.Call(func=ast.Name(id='dict'), args=[], keywords=keywords):
            if any(keyword.arg is None for keyword in keywords):
                raise ValueError(f'line {node.lineno}: dict(**…) is not a literal')
            return {keyword.arg: _literal(keyword.value) for keyword in keywords}
        case ast.Call(func=ast.Name(id='dict'), args=[ast.Dict() as mapping], keywords=[]):
            return _literal(mapping)
        case ast.Dict(keys=keys, values=values):
            return {_literal(key): _literal(value) for key, value in zip(keys, values)}
        case ast.List(elts=elements):
            return [_literal(element) for element in elements]
        case ast.Tuple(elts=elements):
            return tuple(_literal(element) for element in elements)
        case ast.Name(id=('inf' | 'nan') as number):
            return float(number)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Name(id='inf')):
            return float('-inf')
    return ast.literal_eval(node)
