"""Released checkpoint files to files of this package, and back."""

import inspect
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from mmocr.registry import MODELS
from torch import Tensor

from odm_mmocr.datasets.vocabulary import PRINTABLE_ASCII, Vocabulary, build_vocabulary
from odm_mmocr.version import __version__

from .architecture import (
    build_layout,
    describe_architecture,
    effective_normalization,
    format_normalization,
    module_differences,
    same_normalization,
)
from .configs import load_config
from .export import DEFAULT_PREPROCESSOR, extract_backbone, model_config
from .released import (
    REFERENCE_CONFIG,
    ReleasedModel,
    build_odm,
    check_released,
    from_released,
    recognize_released,
    released_config,
    to_released,
    unwrap_names,
    without_counterpart,
)

# Why entries beside the weights are left out; any other is plain data about the run.
RUN_ENTRIES = {
    'optimizer': 'its state is numbered by the parameters of the other implementation; training '
    'goes on with a fresh optimizer',
    'scaler': 'its state belongs to the other training; training goes on with a fresh one',
}
OTHER_ENTRY = 'says something of the other run, no weights'

# Settings that no output depends on once there are weights.
INITIALISATION = ('init_cfg', 'ink_prior')
PARTS = ('backbone', 'vocabulary')  # of a part of the model, compared by themselves
POOL_HEADS = 32  # what None stands for with the released backbone
NORM_DEFAULTS = dict(eps=1e-5, momentum=0.1, requires_grad=True)


class Conversion(NamedTuple):
    """What a released file has become.

    Attributes:
        model: What the file holds.
        checkpoint: Checkpoint of the whole ODM, or None where the characters are not known.
        backbone: Exported backbone, as `export_backbone` writes it.
        converted: Names of the released weights that were converted.
        left_out: Name and reason of each weight or entry of the file that was not.
        initialized: Own names of the weights that the file has nothing for; their values come
            from the seed.
        num_recast: How many of the converted were in another precision than single.
    """

    model: ReleasedModel
    checkpoint: dict | None
    backbone: dict
    converted: list[str]
    left_out: dict[str, str]
    initialized: list[str]
    num_recast: int


def convert_released(
    checkpoint: Mapping, characters: str | None = None, seed: int = 0
) -> Conversion:
    """Convert a released ODM or oCLIP checkpoint.

    Args:
        checkpoint: Content of the file: bare weights, or a training checkpoint with `state_dict`.
        characters: The characters that the model was trained with, in the order of their ids.
            None: printable ASCII where the number of ids fits it, else not known.
        seed: For the weights that oCLIP has nothing for.

    Returns:
        Checkpoint, backbone, and an account of every weight.

    Raises:
        ValueError: The file is no such checkpoint, misses weights or has others, or was trained
            with another number of characters.
    """
    weights, left_out = split_entries(checkpoint)
    model = recognize_released(weights)
    own = from_released(weights)
    no_place = without_counterpart(weights)
    if characters is None and len(PRINTABLE_ASCII) == model.num_characters:
        characters = PRINTABLE_ASCII
    cfg = released_config(model, characters)
    whole, initialized = None, []
    if characters is not None:
        initial = build_odm(cfg, 'cpu', seed).state_dict()
        initialized = [name for name in initial if name not in own]
        whole = dict(
            state_dict={
                # A copy of its own, in plain memory order, whatever memory the file shared.
                name: own.get(name, value).clone(memory_format=torch.contiguous_format)
                for name, value in initial.items()
            },
            meta=dict(cfg=cfg.pretty_text, converted_from=str(model), converted_by=__version__),
        )
    backbone = extract_backbone(
        dict(state_dict=own),
        architecture=cfg.model.image_encoder.backbone,
        normalization=cfg.model.data_preprocessor,
    )
    backbone['meta']['converted_from'] = str(model)
    converted = [name for name in weights if name not in no_place]
    floating = [weights[name] for name in converted if weights[name].is_floating_point()]
    return Conversion(
        model=model,
        checkpoint=whole,
        backbone=backbone,
        converted=converted,
        left_out={**no_place, **left_out},
        initialized=initialized,
        num_recast=sum(tensor.dtype != torch.float32 for tensor in floating),
    )


def split_entries(checkpoint: Mapping) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Separate the weights of a released checkpoint from all else in it.

    Args:
        checkpoint: Content of the file.

    Returns:
        The weights (:func:`unwrap_names`), and name and reason of each entry beside them.

    Raises:
        ValueError: There are no weights, or things among them that are none.
    """
    if 'state_dict' not in checkpoint:
        return unwrap_names(checkpoint), {}
    weights = checkpoint['state_dict']
    if not isinstance(weights, Mapping):
        raise ValueError(
            f'state_dict is a {type(weights).__name__}; a dictionary of weights is needed'
        )
    others = {
        str(name): RUN_ENTRIES.get(name, OTHER_ENTRY) for name in checkpoint if name != 'state_dict'
    }
    return unwrap_names(weights), others


def released_checkpoint(checkpoint: Mapping, half: bool = False) -> dict:
    """Convert an ODM checkpoint to one that the released code loads.

    Args:
        checkpoint: Content of a checkpoint of ODM, with weights and config.
        half: Store weights in half precision.

    Returns:
        `state_dict` with released names behind `module.`, which the released code takes off
        where it does not train in parallel.

    Raises:
        ValueError: The checkpoint carries no config, or its model is none that the released
            code has; it names the differences.
    """
    model = model_config(checkpoint.get('meta') or {}, 'the checkpoint')
    if differences := reference_differences(model):
        raise ValueError('the released code has no such model: ' + '; '.join(differences))
    weights = to_released(checkpoint.get('state_dict', checkpoint), half)
    check_released(weights, ReleasedModel('ODM'), 'the checkpoint')  # which may belie its config
    return dict(state_dict={f'module.{name}': tensor for name, tensor in weights.items()})


def reference_differences(model: Mapping) -> list[str]:
    """Compare a model with the released one, also in what leaves no trace in its weights.

    Args:
        model: Config of an ODM.

    Returns:
        One line for each difference; empty if there is none.
    """
    reference = load_config(REFERENCE_CONFIG).model
    differences = []
    for part in ('image_encoder', 'text_controller', 'head'):
        own, released = _settings(model[part]), _settings(reference[part])
        differences += [
            f'{part}.{name} is {own.get(name)!r}, must be {released.get(name)!r}'
            for name in dict.fromkeys([*released, *own])
            if own.get(name) != released.get(name)
        ]
    differences += [
        f'backbone: {line}'
        for line in module_differences(
            *(
                build_layout(describe_architecture(m['image_encoder']['backbone']))
                for m in (reference, model)
            )
        )[:1]
    ]
    own, released = (
        build_vocabulary(dict(m['text_controller']['vocabulary'])) for m in (model, reference)
    )
    if repr(own) != repr(released):
        differences.append('text_controller.vocabulary is not printable ASCII in 25 slots')
    own, released = (
        effective_normalization(m.get('data_preprocessor') or DEFAULT_PREPROCESSOR)
        for m in (model, reference)
    )
    if not same_normalization(own, released):
        differences.append(
            f'data_preprocessor has {format_normalization(own)}, must have '
            f'{format_normalization(released)}'
        )
    return differences


def _settings(config: Mapping) -> dict:
    """Settings of a part, defaults of its class included, without the parts within it."""
    parameters = inspect.signature(MODELS.get(config['type'])).parameters.values()
    settings = {p.name: p.default for p in parameters if p.default is not p.empty}
    settings.update(config)
    if 'pool_heads' in settings:
        settings['pool_heads'] = settings['pool_heads'] or POOL_HEADS
    if 'norm_cfg' in settings:
        settings['norm_cfg'] = {**NORM_DEFAULTS, **settings['norm_cfg']}
    return {
        name: list(value) if isinstance(value, (list, tuple)) else value
        for name, value in settings.items()
        if name not in (*INITIALISATION, *PARTS)
    }


def read_characters(path: str | Path) -> str:
    """Read the characters of a released model.

    Args:
        path: A text file with one character a line, or the pickled list of code points that
            oCLIP's scripts write (`char_dict`).

    Returns:
        The characters, in the order of their ids.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds anything else, or a character twice.
    """
    path = Path(path).expanduser()
    if path.is_file() and (content := path.read_bytes())[:1] == pickle.PROTO:
        try:
            characters = ''.join(map(chr, _NumbersOnly(io.BytesIO(content)).load()))
        except Exception as error:  # unpickling raises whatever the bytes make it
            raise ValueError(f'{path} is no pickled list of code points: {error}') from error
        return Vocabulary(characters).characters
    return Vocabulary(path).characters


class _NumbersOnly(pickle.Unpickler):
    """Unpickles built-in containers and numbers; anything that names code is refused."""

    def find_class(self, module: str, name: str):
        raise pickle.UnpicklingError(f'it names {module}.{name}, which could run code')
