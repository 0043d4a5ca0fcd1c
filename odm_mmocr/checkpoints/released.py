"""Weights of the released ODM and oCLIP checkpoints, to and from the names of this package."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmocr.registry import MODELS
from torch import Tensor, nn

from odm_mmocr.datasets.vocabulary import PRINTABLE_ASCII

from .configs import load_config

REFERENCE_CONFIG = 'odm_pretrain_reference.py'
STAGE_BLOCKS = (3, 4, 6, 3)  # of CLIPResNet-50, the only one of MMOCR

PRIVATE_USE = 0xF0000  # code points from here on are nobody's characters

# What a wrapper puts into the names of the tensors of the module that it wraps.
WRAPPERS = ('module', '_orig_mod')

# Released name and own name; `#` stands for a number, `*` for the rest of the name.
BACKBONE = (
    ('visual.conv1.*', 'image_encoder.backbone.stem.0.*'),
    ('visual.bn1.*', 'image_encoder.backbone.stem.1.*'),
    ('visual.conv2.*', 'image_encoder.backbone.stem.3.*'),
    ('visual.bn2.*', 'image_encoder.backbone.stem.4.*'),
    ('visual.conv3.*', 'image_encoder.backbone.stem.6.*'),
    ('visual.bn3.*', 'image_encoder.backbone.stem.7.*'),
    ('visual.layer#.#.conv#.*', 'image_encoder.backbone.layer#.#.conv#.*'),
    ('visual.layer#.#.bn#.*', 'image_encoder.backbone.layer#.#.bn#.*'),
    ('visual.layer#.#.downsample.0.*', 'image_encoder.backbone.layer#.#.downsample.1.*'),
    ('visual.layer#.#.downsample.1.*', 'image_encoder.backbone.layer#.#.downsample.2.*'),
)
POOL = (
    ('visual.attnpool.q_proj.*', 'image_encoder.pool.query.*'),
    ('visual.attnpool.k_proj.*', 'image_encoder.pool.key.*'),
    ('visual.attnpool.v_proj.*', 'image_encoder.pool.value.*'),
    ('visual.attnpool.c_proj.*', 'image_encoder.pool.projection.*'),
)
WORD_ENCODER = (
    ('token_embedding.*', 'text_controller.characters.*'),
    ('positional_embedding', 'text_controller.character_positions'),
    ('transformer.resblocks.#.attn.*', 'text_controller.word_blocks.#.attention.*'),
    ('transformer.resblocks.#.ln_#.*', 'text_controller.word_blocks.#.norm#.*'),
    ('transformer.resblocks.#.mlp.c_fc.*', 'text_controller.word_blocks.#.mlp.0.*'),
    ('transformer.resblocks.#.mlp.c_proj.*', 'text_controller.word_blocks.#.mlp.2.*'),
    ('ln_final.*', 'text_controller.word_norm.*'),
    ('text_projection', 'text_controller.word_projection'),
    ('logit_scale', 'logit_scale'),
)
STEERING = (
    ('image_pos', 'text_controller.image_positions.weight'),
    ('transformer_decoder.resblocks.#.attn.*', 'text_controller.blocks.#.attention.*'),
    ('transformer_decoder.resblocks.#.ln_#.*', 'text_controller.blocks.#.norm#.*'),
    ('transformer_decoder.resblocks.#.mlp.c_fc.*', 'text_controller.blocks.#.mlp.0.*'),
    ('transformer_decoder.resblocks.#.mlp.c_proj.*', 'text_controller.blocks.#.mlp.2.*'),
    ('ln_final_decoder.*', 'text_controller.norm.*'),
)
HEAD = (
    *((f'fpn_head.lateral_convs.{i}.0.*', f'head.laterals.{i}.conv.*') for i in range(4)),
    *((f'fpn_head.lateral_convs.{i}.1.*', f'head.laterals.{i}.bn.*') for i in range(4)),
    ('fpn_head.lateral_convs.4.0.*', 'head.text_lateral.conv.*'),
    ('fpn_head.lateral_convs.4.1.*', 'head.text_lateral.bn.*'),
    ('fpn_head.fpn_conv.0.*', 'head.smooth.conv.*'),
    ('fpn_head.fpn_conv.1.*', 'head.smooth.bn.*'),
    ('mim.deconv1.0.*', 'head.refine.conv.*'),
    ('mim.deconv1.1.*', 'head.refine.bn.*'),
    ('mim.conv1.*', 'head.squeeze.conv.*'),
    ('mim.bn1.*', 'head.squeeze.bn.*'),
    ('mim.conv2.*', 'head.draw.*'),
)
SHARED = (*BACKBONE, *POOL, *WORD_ENCODER)
RULES = {'ODM': (*SHARED, *STEERING, *HEAD), 'oCLIP': SHARED}

# One tensor there, two here: the first row is the position of the mean.
POOL_POSITIONS = 'visual.attnpool.positional_embedding'
OWN_POOL_POSITIONS = ('image_encoder.pool.global_position', 'image_encoder.pool.positions.weight')

# Parts of oCLIP that ODM has none of, and why.
WITHOUT_COUNTERPART = {
    'transformer_decoder.*': 'there words look at the image, in ODM the image looks at words',
    'image_pos': 'positions of the cells that words look at, part of that attention',
    'ln_final_decoder.*': 'norm of what words have seen, part of that attention',
    'text_class.*': 'guesses the masked character of a word, a task that ODM has not',
}


@dataclass(frozen=True)
class ReleasedModel:
    """What kind of model a released file holds, read from its names and shapes.

    Attributes:
        family: 'ODM' or 'oCLIP'.
        width: Channels of the first stage before expansion; 64 in every released file.
        grid: Rows, and columns, of the attention pool's positions.
        embed_dims: Width of image tokens and word vectors.
        word_dims: Width of the word encoder.
        word_depth: Blocks of the word encoder.
        depth: Cross-attention blocks of ODM.
        num_ids: Character ids: padding, characters, in oCLIP one for a masked character, the end.
        max_characters: Slots of a word.
    """

    family: str
    width: int = 64
    grid: int = 16
    embed_dims: int = 512
    word_dims: int = 64
    word_depth: int = 6
    depth: int = 6
    num_ids: int = 96
    max_characters: int = 25

    @property
    def num_characters(self) -> int:
        """Characters that a vocabulary for it must have."""
        return self.num_ids - (2 if self.family == 'ODM' else 3)

    def __str__(self) -> str:
        return (
            f'{self.family} ResNet-50 (embedding {self.embed_dims}, word encoder '
            f'{self.word_dims} x {self.word_depth}, {self.num_characters} characters)'
        )


def from_released(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn released weights into those of `ODM` as `configs/odm_pretrain_reference.py` builds it.

    Args:
        state_dict: Weights of a released ODM or oCLIP model, with or without the `module.` of
            data parallelism. Sizes and numbers of blocks may be others than in the released files.

    Returns:
        The weights under own names, floating ones as float32. They share memory with the given
        ones where nothing had to change. Of oCLIP's, what has a counterpart
        (:func:`without_counterpart`).

    Raises:
        ValueError: A name is unknown or missing or a shape is wrong, it names the first of them;
            or the backbone is none that MMOCR has.
    """
    weights = unwrap_names(state_dict)
    model = recognize_released(weights)
    left_out = without_counterpart(weights)
    weights = {name: tensor for name, tensor in weights.items() if name not in left_out}
    check_released(weights, model)
    rename = _Renaming(RULES[model.family])
    own = {}
    for name, tensor in weights.items():
        if tensor.is_floating_point():
            tensor = tensor.float()
        if name == POOL_POSITIONS:
            # Copies: a part of a tensor is saved with all of it.
            own.update(zip(OWN_POOL_POSITIONS, (tensor[:1].clone(), tensor[1:].clone())))
        else:
            own[rename(name)] = tensor
    return own


def to_released(state_dict: Mapping[str, Tensor], half: bool = False) -> dict[str, Tensor]:
    """Turn weights of `ODM` as `configs/odm_pretrain_reference.py` builds it into released ones.

    Settings that leave no trace in names and shapes are not checked here;
    :func:`released_checkpoint` does that.

    Args:
        state_dict: Weights under own names.
        half: Store floating ones in half precision, but for the statistics of BatchNorm.

    Returns:
        The weights under the names of the released ODM, without `module.`.

    Raises:
        ValueError: The weights are of another architecture, it names the first tensors that do
            not fit; or one has values that half precision cannot hold.
    """
    own = unwrap_names(state_dict)
    released = rename_to_released(own)
    check_released(released, recognize_released(released), 'the ODM checkpoint')
    if half:
        released = {name: _halve(name, tensor) for name, tensor in released.items()}
    return released


def rename_to_released(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give weights of an ODM their released names, without checking that all are there.

    Args:
        state_dict: Weights under own names.

    Returns:
        The same under released names.

    Raises:
        ValueError: The released model has no place for some of them.
    """
    rename = _Renaming((own, released) for released, own in RULES['ODM'])
    released, positions, unknown = {}, {}, []
    for name, tensor in state_dict.items():
        if name in OWN_POOL_POSITIONS:
            positions[name] = tensor
        elif (new := rename(name)) is None:
            unknown.append(name)
        else:
            released[new] = tensor
    if unknown:
        raise ValueError(
            f'not the architecture of {REFERENCE_CONFIG}: the released model has no place for '
            f'{_listed(unknown)}'
        )
    if len(positions) == len(OWN_POOL_POSITIONS):
        released[POOL_POSITIONS] = torch.cat([positions[name] for name in OWN_POOL_POSITIONS])
    return released


def unwrap_names(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take out of the names what data parallelism and `torch.compile` put in, at any depth.

    Args:
        state_dict: Weights of a model that is wrapped, or has wrapped parts, or neither.

    Returns:
        The weights under the names of the bare model.

    Raises:
        ValueError: A value is no tensor, or two names become one.
    """
    weights = {}
    for name, tensor in state_dict.items():
        if not isinstance(tensor, Tensor):
            raise ValueError(f'{name!r} is a {type(tensor).__name__}; weights must be tensors')
        bare = '.'.join(part for part in name.split('.') if part not in WRAPPERS)
        if bare in weights:
            raise ValueError(f'{bare} is there twice, with and without "module."; remove one')
        weights[bare] = tensor
    return weights


def recognize_released(weights: Mapping[str, Tensor]) -> ReleasedModel:
    """Tell which released model weights belong to.

    Args:
        weights: Released weights, see :func:`unwrap_names`.

    Returns:
        Family and sizes; a size that cannot be read is the released ODM's.

    Raises:
        ValueError: They are of neither family, or the backbone is none that MMOCR has.
    """
    if not any(name.startswith('visual.') for name in weights):
        raise ValueError(
            'neither the weights of a released ODM nor those of oCLIP: no name starts with '
            f'"visual."; found {_listed(list(weights)) if weights else "no weights"}'
        )

    def has(*prefixes: str) -> bool:
        return any(name.startswith(prefixes) for name in weights)

    # A first stage of ODM has the norm of its cross-attention, one of oCLIP has not.
    is_odm = has('fpn_head.', 'mim.') or (has('ln_final_decoder.') and not has('text_class.'))
    family = 'ODM' if is_odm else 'oCLIP'
    blocks = tuple(_count_blocks(weights, f'visual.layer{stage}.') for stage in (1, 2, 3, 4))
    if blocks != STAGE_BLOCKS:
        name = 'ResNet-101' if blocks == (3, 4, 23, 3) else 'none of the released ones'
        raise ValueError(
            f'the {family} file has a backbone with {blocks} blocks in its stages ({name}). MMOCR '
            f'has the CLIPResNet of depth 50 alone, {STAGE_BLOCKS}, so neither ODM nor a detector '
            'could take the weights; use a ResNet-50 file'
        )

    def size(name: str, axis: int, default: int, least: int = 1) -> int:
        shape = weights[name].shape if name in weights else ()
        return shape[axis] if axis < len(shape) and shape[axis] >= least else default

    usual = ReleasedModel(family)
    return ReleasedModel(
        family,
        width=size('visual.layer1.0.conv1.weight', 0, usual.width),
        grid=max(1, round((size(POOL_POSITIONS, 0, usual.grid**2 + 1) - 1) ** 0.5)),
        embed_dims=size('text_projection', 1, usual.embed_dims),
        word_dims=size('text_projection', 0, usual.word_dims),
        word_depth=_count_blocks(weights, 'transformer.resblocks.') or usual.word_depth,
        depth=(is_odm and _count_blocks(weights, 'transformer_decoder.resblocks.')) or usual.depth,
        num_ids=size('token_embedding.weight', 0, usual.num_ids, least=4),
        max_characters=size('positional_embedding', 0, usual.max_characters, least=2),
    )


def without_counterpart(weights: Mapping[str, Tensor]) -> dict[str, str]:
    """Name the weights that a conversion leaves out, each with the reason.

    Args:
        weights: Released weights, see :func:`unwrap_names`.

    Returns:
        Empty for ODM; for oCLIP parts for which ODM has no place.
    """
    if recognize_released(weights).family == 'ODM':
        return {}
    rules = [(_compile(pattern), reason) for pattern, reason in WITHOUT_COUNTERPART.items()]
    return {
        name: reason for name in weights for pattern, reason in rules if pattern.fullmatch(name)
    }


def released_config(model: ReleasedModel, characters: str | None = None) -> Config:
    """Fit `odm_pretrain_reference.py` to a released model.

    Args:
        model: What the file holds.
        characters: Its characters in the order of their ids, `model.num_characters` of them.
            None: stand-ins, where only names and shapes matter.

    Returns:
        Config of a pre-training that can go on from the converted weights.

    Raises:
        ValueError: The number of characters is another than the file's, or the widths are none
            that attention of 8 heads can have.
    """
    if characters is None:
        characters = ''.join(chr(PRIVATE_USE + i) for i in range(model.num_characters))
    elif len(characters) != model.num_characters:
        raise ValueError(
            f'the file has ids for {model.num_characters} characters, not {len(characters)}; give '
            'the characters that it was trained with, in the order of their ids'
        )
    cfg = load_config(REFERENCE_CONFIG)
    encoder, controller = cfg.model.image_encoder, cfg.model.text_controller
    for name, heads in (('word_dims', controller.word_heads), ('embed_dims', controller.num_heads)):
        if getattr(model, name) % heads:
            raise ValueError(
                f'text_projection gives {name}={getattr(model, name)}, which {heads} heads of '
                'attention cannot share: the file is damaged or of another model'
            )
    usual = ReleasedModel('ODM')
    if model.width != usual.width:
        encoder.backbone.base_channels = model.width
    encoder.update(embed_dims=model.embed_dims, grid=(model.grid, model.grid))
    controller.update(
        word_dims=model.word_dims,
        word_depth=model.word_depth,
        depth=model.depth,
        grid=(model.grid, model.grid),
    )
    vocabulary = dict(type='Vocabulary')
    if model.max_characters != usual.max_characters:
        vocabulary['max_characters'] = model.max_characters
    if model.family == 'oCLIP':
        controller.word_pooling = 'end'
        # oCLIP writes the character that it masks, and tests with, as a space.
        characters += ' '
    if characters != PRINTABLE_ASCII:
        vocabulary['characters'] = characters
    for settings in _vocabularies([cfg[name] for name in cfg]):
        settings.update(vocabulary)
    return cfg


def _vocabularies(node) -> Iterator[dict]:
    """Yield every config of a vocabulary within a config."""
    if isinstance(node, dict):
        if node.get('type') == 'Vocabulary':
            yield node
        node = node.values()
    elif not isinstance(node, (list, tuple)):
        return
    for child in node:
        yield from _vocabularies(child)


def build_odm(cfg: Config, device: str, seed: int = 0) -> nn.Module:
    """Build the model of a config without its frozen feature network.

    Args:
        cfg: Config of an ODM.
        device: `cpu`, or `meta` for names and shapes alone.
        seed: Of the initial weights; the global random state stays as it is.

    Returns:
        The model.
    """
    settings = dict(cfg.model, loss_ocr=None)
    with DefaultScope.overwrite_default_scope('mmocr'), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        with torch.device(device):
            return MODELS.build(settings)


def check_released(
    weights: Mapping[str, Tensor], model: ReleasedModel, source: str = 'the file'
) -> None:
    """Compare released weights with what the model must have.

    Args:
        weights: Without those that have no counterpart.
        model: What they were recognised as.
        source: Where they come from, for messages.

    Raises:
        ValueError: Names are unknown or missing, shapes are others, or values are not finite.
    """
    layout = build_odm(released_config(model), 'meta').state_dict()
    rename = _Renaming((own, released) for released, own in RULES[model.family])
    kept = (*OWN_POOL_POSITIONS, *(name for name in layout if rename(name)))
    wanted = rename_to_released({name: layout[name] for name in kept})
    found = {
        'that are unknown': [name for name in weights if name not in wanted],
        'that are missing': [name for name in wanted if name not in weights],
        'of another shape': [
            f'{name} {tuple(tensor.shape)} instead of {tuple(wanted[name].shape)}'
            for name, tensor in weights.items()
            if name in wanted and tensor.shape != wanted[name].shape
        ],
    }
    if any(found.values()):
        raise ValueError(
            f'{source} does not hold an {model}: '
            + '; '.join(
                f'{len(names)} {what}: {_listed(names)}' for what, names in found.items() if names
            )
        )
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(
                f'{source}: {name} has values that are not finite; the training diverged, take '
                'an earlier checkpoint'
            )


class _Renaming:
    """Function from a name to another by the first of the rules that fits; None if none does."""

    def __init__(self, rules: Iterable[tuple[str, str]]):
        self.rules = [(_compile(pattern), re.split('[#*]', new)) for pattern, new in rules]

    def __call__(self, name: str) -> str | None:
        for pattern, (first, *others) in self.rules:
            if match := pattern.fullmatch(name):
                return first + ''.join(map(''.join, zip(match.groups(), others, strict=True)))
        return None


def _compile(pattern: str) -> re.Pattern:
    return re.compile(re.escape(pattern).replace(r'\#', r'(\d+)').replace(r'\*', '(.+)'))


def _count_blocks(weights: Mapping[str, Tensor], prefix: str) -> int:
    numbers = (
        name.removeprefix(prefix).partition('.')[0] for name in weights if name.startswith(prefix)
    )
    return max((int(number) + 1 for number in numbers if number.isdecimal()), default=0)


def _halve(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point() or 'running_' in name:
        return tensor
    half = tensor.half()
    if not half.isfinite().all():
        raise ValueError(
            f'{name} has values up to {tensor.abs().max():.3g}, half precision ends at 65504; '
            'write it in full precision'
        )
    return half


def _listed(names: list[str], count: int = 3) -> str:
    more = f' and {len(names) - count} more' if len(names) > count else ''
    return ', '.join(names[:count]) + more
