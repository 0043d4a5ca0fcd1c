"""Small models with the names of the released ODM and oCLIP, written down independently."""

import zlib

import numpy as np
import pytest
import torch

WORD_DIMS, WORD_DEPTH, MAX_CHARACTERS = 32, 2, 25


def make_weight(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """A weight that only its name and shape decide, large enough to be told from another.

    The rule of `parity/recipe.py` with seed 0, by which the golden arrays were made.
    """
    rng = np.random.default_rng([0, zlib.crc32(name.encode())])
    if name.endswith('num_batches_tracked'):
        return torch.zeros(shape, dtype=torch.int64)
    if name == 'logit_scale':
        return torch.tensor(1 / 0.07).log()
    if name.endswith('running_var'):
        value = rng.uniform(0.5, 1.5, shape)
    elif name.endswith('running_mean') or len(shape) == 1:
        value = 0.1 * rng.standard_normal(shape) + name.endswith('weight')
    elif len(shape) == 2 and 'pos' in name:
        value = 0.02 * rng.standard_normal(shape)
    else:
        fan_in = shape[0] if name == 'text_projection' else np.prod(shape[1:])
        value = rng.standard_normal(shape) / np.sqrt(fan_in)
    return torch.from_numpy(np.asarray(value, np.float32))


def released_shapes(
    family: str,
    width: int = 16,
    grid: int = 4,
    embed_dims: int = 48,
    word_dims: int = WORD_DIMS,
    word_depth: int = WORD_DEPTH,
    depth: int = 1,
    num_ids: int | None = None,
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a released model; the full sizes are those of the papers' authors."""
    num_ids = num_ids or {'ODM': 96, 'oCLIP': 97}[family]
    shapes = {
        'logit_scale': (),
        'positional_embedding': (MAX_CHARACTERS, word_dims),
        'text_projection': (word_dims, embed_dims),
        'token_embedding.weight': (num_ids, word_dims),
        'image_pos': (grid**2, embed_dims),
        'visual.attnpool.positional_embedding': (grid**2 + 1, 32 * width),
    }

    def batch_norm(name: str, channels: int) -> None:
        for part in ('weight', 'bias', 'running_mean', 'running_var'):
            shapes[f'{name}.{part}'] = (channels,)
        shapes[f'{name}.num_batches_tracked'] = ()

    def linear(name: str, *shape: int) -> None:
        shapes[f'{name}.weight'], shapes[f'{name}.bias'] = shape, shape[:1]

    def blocks(name: str, channels: int, count: int) -> None:
        for block in (f'{name}.resblocks.{i}' for i in range(count)):
            shapes[f'{block}.attn.in_proj_weight'] = (3 * channels, channels)
            shapes[f'{block}.attn.in_proj_bias'] = (3 * channels,)
            linear(f'{block}.attn.out_proj', channels, channels)
            linear(f'{block}.mlp.c_fc', 4 * channels, channels)
            linear(f'{block}.mlp.c_proj', channels, 4 * channels)
            for norm in ('ln_1', 'ln_2'):
                linear(f'{block}.{norm}', channels)

    half = width // 2
    for i, (inputs, outputs) in enumerate([(3, half), (half, half), (half, width)], 1):
        shapes[f'visual.conv{i}.weight'] = (outputs, inputs, 3, 3)
        batch_norm(f'visual.bn{i}', outputs)
    inputs = width
    for stage, count in enumerate((3, 4, 6, 3)):
        planes = width * 2**stage
        for i in range(count):
            block = f'visual.layer{stage + 1}.{i}'
            kernels = ((planes, inputs, 1), (planes, planes, 3), (4 * planes, planes, 1))
            for k, (out, into, size) in enumerate(kernels, 1):
                shapes[f'{block}.conv{k}.weight'] = (out, into, size, size)
                batch_norm(f'{block}.bn{k}', out)
            if i == 0:
                shapes[f'{block}.downsample.0.weight'] = (4 * planes, inputs, 1, 1)
                batch_norm(f'{block}.downsample.1', 4 * planes)
            inputs = 4 * planes
    for part in ('q_proj', 'k_proj', 'v_proj'):
        linear(f'visual.attnpool.{part}', inputs, inputs)
    linear('visual.attnpool.c_proj', embed_dims, inputs)
    blocks('transformer', word_dims, word_depth)
    linear('ln_final', word_dims)
    blocks('transformer_decoder', embed_dims, depth)
    linear('ln_final_decoder', embed_dims)
    if family == 'oCLIP':
        linear('text_class', num_ids, embed_dims)
        return shapes
    for i, channels in enumerate((4 * width, 8 * width, 16 * width, 32 * width, embed_dims)):
        linear(f'fpn_head.lateral_convs.{i}.0', 256, channels, 1, 1)
        batch_norm(f'fpn_head.lateral_convs.{i}.1', 256)
    linear('fpn_head.fpn_conv.0', 256, 256, 3, 3)
    batch_norm('fpn_head.fpn_conv.1', 256)
    linear('mim.deconv1.0', 128, 256, 3, 3)
    batch_norm('mim.deconv1.1', 128)
    linear('mim.conv1', 64, 128, 1, 1)
    batch_norm('mim.bn1', 64)
    linear('mim.conv2', 1, 64, 1, 1)
    return shapes


FULL = dict(width=64, grid=16, word_dims=64, word_depth=6, depth=6)


@pytest.fixture(scope='session')
def released_layout():
    """The function :func:`released_shapes`."""
    return released_shapes


@pytest.fixture(scope='session')
def full_sizes() -> dict:
    """Sizes of the released files, all but the width of the embedding."""
    return FULL


@pytest.fixture(scope='session')
def released_weights():
    """Function from a family and sizes to weights under released names."""

    def make(family: str, **sizes) -> dict[str, torch.Tensor]:
        shapes = released_shapes(family, **sizes)
        return {name: make_weight(name, shape) for name, shape in shapes.items()}

    return make
