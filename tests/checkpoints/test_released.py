import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmocr.registry import MODELS

from odm_mmocr.checkpoints import (
    ReleasedModel,
    convert_released,
    extract_backbone,
    from_released,
    load_backbone,
    load_checkpoint,
    read_characters,
    recognize_released,
    released_checkpoint,
    save_checkpoint,
    to_released,
)
from odm_mmocr.checkpoints.configs import read_config_text
from odm_mmocr.checkpoints.conversion import reference_differences
from odm_mmocr.checkpoints.released import build_odm, released_config
from odm_mmocr.datasets.vocabulary import build_vocabulary

OCLIP_EXTRA = ('transformer_decoder.', 'ln_final_decoder.', 'image_pos', 'text_class.')


@pytest.fixture(scope='module')
def odm(released_weights):
    return released_weights('ODM')


@pytest.fixture(scope='module')
def oclip(released_weights):
    return released_weights('oCLIP')


@pytest.fixture(scope='module')
def odm_conversion(odm):
    """Of a whole training checkpoint. MMEngine takes seconds to format a config, hence once."""
    return convert_released(
        dict(epoch=5, name='run', state_dict=odm, optimizer=dict(state={}, param_groups=[]))
    )


@pytest.fixture(scope='module')
def oclip_conversion(oclip):
    return convert_released(oclip)


def same(first, second):
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and torch.equal(first[name], second[name])
        for name in first
    )


def test_odm_there_and_back_is_the_same_bit_for_bit(odm):
    own = from_released(odm)
    assert len(own) == len(odm) + 1  # the positions of the pool are two tensors here
    assert same(to_released(own), odm)


def test_own_weights_fill_the_whole_model(odm):
    own = from_released(odm)
    model = build_odm(released_config(recognize_released(odm)), 'cpu')
    model.load_state_dict(own)  # strict
    assert same(dict(model.state_dict()), own)


@pytest.mark.parametrize(
    'wrap',
    [
        lambda name: f'module.{name}',
        lambda name: f'module._orig_mod.{name}',
        lambda name: name.replace('visual.', 'visual.module.'),
    ],
    ids=['parallel', 'compiled', 'inside'],
)
def test_wrappers_in_names_do_not_matter(odm, wrap):
    assert same(from_released({wrap(name): v for name, v in odm.items()}), from_released(odm))


def test_a_name_with_and_without_wrapper_is_ambiguous(odm):
    with pytest.raises(ValueError, match=r'logit_scale is there twice'):
        from_released({**odm, 'module.logit_scale': odm['logit_scale']})


def test_half_precision_becomes_single_and_comes_back(odm):
    half = {n: v.half() if v.is_floating_point() else v for n, v in odm.items()}
    own = from_released(half)
    assert all(v.dtype in (torch.float32, torch.int64) for v in own.values())
    back = to_released(own, half=True)
    statistics = {name for name in odm if 'running_' in name}
    assert all(back[name].dtype == torch.float32 for name in statistics)
    others = odm.keys() - statistics
    assert same({n: back[n] for n in others}, {n: half[n] for n in others})


def test_half_precision_that_would_overflow_is_refused(odm):
    own = from_released({**odm, 'mim.conv2.bias': torch.tensor([1e5])})
    with pytest.raises(ValueError, match=r'mim\.conv2\.bias has values up to 1e\+05'):
        to_released(own, half=True)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(logit_bias=torch.zeros(())), r'1 that are unknown: logit_bias'),
        ({'ln_final.bias': None, 'mim.bn1.bias': None}, r'2 that are missing: ln_final\.bias, mim'),
        (
            {'visual.attnpool.q_proj.weight': torch.zeros(512, 48)},
            r'1 of another shape: visual\.attnpool\.q_proj\.weight \(512, 48\) instead of '
            r'\(512, 512\)',
        ),
        (
            {'ln_final.bias': torch.full((32,), torch.nan)},
            r'ln_final\.bias has values that are not',
        ),
        (dict(text_projection=torch.zeros(32, 50)), r'embed_dims=50, which 8 heads'),
        (dict(epoch=3), r"'epoch' is a int"),
    ],
    ids=['unknown', 'missing', 'shape', 'nan', 'heads', 'no tensor'],
)
def test_what_does_not_fit_is_named(odm, change, message):
    wrong = {name: value for name, value in {**odm, **change}.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        from_released(wrong)


def test_a_text_model_or_a_detector_is_none_of_them(odm):
    with pytest.raises(ValueError, match=r'neither .* released ODM nor .* oCLIP.*backbone\.stem'):
        from_released({'backbone.stem.0.weight': odm['visual.conv1.weight']})
    with pytest.raises(ValueError, match='no weights'):
        from_released({})


def test_a_model_of_another_architecture_does_not_go_back(odm):
    own = from_released(odm)
    with pytest.raises(ValueError, match=r'no place for text_controller\.none_of_these'):
        to_released({**own, 'text_controller.none_of_these': torch.zeros(1, 1, 48)})
    with pytest.raises(
        ValueError, match=r'the ODM checkpoint.*missing: fpn_head\.fpn_conv\.0\.bias'
    ):
        to_released({n: v for n, v in own.items() if n != 'head.smooth.conv.bias'})


def test_families_and_sizes_are_read_from_names_and_shapes(released_weights, odm, oclip):
    assert str(recognize_released(odm)) == (
        'ODM ResNet-50 (embedding 48, word encoder 32 x 2, 94 characters)'
    )
    assert str(recognize_released(oclip)) == (
        'oCLIP ResNet-50 (embedding 48, word encoder 32 x 2, 94 characters)'
    )
    first_stage = {n: v for n, v in oclip.items() if not n.startswith(OCLIP_EXTRA)}
    assert recognize_released(first_stage) == recognize_released(oclip)
    assert recognize_released(released_weights('oCLIP', num_ids=5254)).num_characters == 5251


def test_a_resnet101_is_refused_with_the_reason(oclip):
    deep = dict(oclip)
    for block in range(6, 23):
        for name in [n for n in oclip if n.startswith('visual.layer3.5.')]:
            deep[name.replace('layer3.5', f'layer3.{block}')] = oclip[name]
    with pytest.raises(ValueError, match=r'\(3, 4, 23, 3\) blocks .*ResNet-101.*depth 50 alone'):
        convert_released(deep)


def test_every_weight_of_oclip_is_accounted_for(oclip, oclip_conversion):
    converted, left_out = set(oclip_conversion.converted), oclip_conversion.left_out
    assert converted | left_out.keys() == oclip.keys()
    assert not converted & left_out.keys()
    assert all(name.startswith(OCLIP_EXTRA) for name in left_out)
    assert all(left_out.values())
    whole, own = oclip_conversion.checkpoint['state_dict'], from_released(oclip)
    assert same({name: whole[name] for name in own}, own)
    assert set(oclip_conversion.initialized) == whole.keys() - own.keys()
    assert all(
        name.startswith(('head.', 'text_controller.blocks.', 'text_controller.norm.'))
        or name == 'text_controller.image_positions.weight'
        for name in oclip_conversion.initialized
    )


def test_what_oclip_has_not_is_decided_by_the_seed(oclip_conversion):
    state = torch.get_rng_state()
    cfg = released_config(oclip_conversion.model)
    again, other = (build_odm(cfg, 'cpu', seed).state_dict() for seed in (0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    whole = oclip_conversion.checkpoint['state_dict']
    name = 'text_controller.blocks.0.mlp.0.weight'
    assert all(torch.equal(whole[n], again[n]) for n in oclip_conversion.initialized)
    assert not torch.equal(whole[name], other[name])


def test_training_checkpoint_leaves_the_optimizer_out(odm, odm_conversion):
    assert same(odm_conversion.checkpoint['state_dict'], from_released(odm))
    assert odm_conversion.initialized == []
    assert odm_conversion.left_out.keys() == {'epoch', 'name', 'optimizer'}
    assert 'fresh optimizer' in odm_conversion.left_out['optimizer']


def test_checkpoint_and_backbone_are_read_by_everything_else(odm_conversion, tmp_path):
    save_checkpoint(odm_conversion.checkpoint, tmp_path / 'odm.pth')
    save_checkpoint(odm_conversion.backbone, tmp_path / 'backbone.pth')
    whole, backbone = (
        load_checkpoint(tmp_path / 'odm.pth'),
        load_backbone(tmp_path / 'backbone.pth'),
    )
    # A view would be saved with all the memory that it is part of.
    weights = sum(v.nbytes for v in whole['state_dict'].values())
    assert (tmp_path / 'odm.pth').stat().st_size < 1.1 * weights + 2**20
    again = extract_backbone(whole)
    assert same(again['state_dict'], backbone['state_dict'])
    assert again['meta']['normalization'] == backbone['meta']['normalization']
    assert backbone['meta']['normalization']['mean'][0] == pytest.approx(0.48145466 * 255)
    network = MODELS.build(backbone['meta']['architecture'])
    network.load_state_dict(backbone['state_dict'])
    assert type(network).__name__ == 'CLIPResNet'


def test_vocabulary_of_oclip_ends_in_the_masked_character(oclip_conversion):
    # oCLIP numbers 94 characters from 1, then the masked one, then the end: 97 ids with padding.
    config = read_config_text(oclip_conversion.checkpoint['meta']['cfg'])
    controller = config['model']['text_controller']
    vocabulary = build_vocabulary(controller['vocabulary'])
    assert (vocabulary.num_ids, vocabulary.end) == (97, 96)
    tokens, _ = vocabulary.encode(['!~ !'], 1)  # a blank stands for the masked one
    assert tokens[0, :5].tolist() == [1, 94, 95, 1, 96]
    assert controller['word_pooling'] == 'end'
    packers = [
        step
        for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader')
        for step in config[loader]['dataset']['dataset']['pipeline']
        if step['type'] == 'PackODMInputs'
    ]
    assert [step['vocabulary'] for step in packers] == [controller['vocabulary']] * 3


def test_unknown_characters_leave_the_backbone_alone(released_weights, tmp_path):
    weights = released_weights('oCLIP', num_ids=13)
    conversion = convert_released(weights)
    assert conversion.checkpoint is None
    assert len(conversion.backbone['state_dict']) == sum(
        name.startswith('visual.') and 'attnpool' not in name for name in weights
    )
    characters = '中文字街上的招牌店'
    with pytest.raises(ValueError, match=r'ids for 10 characters, not 9'):
        convert_released(weights, characters)
    cfg = released_config(conversion.model, characters + '铺')
    assert cfg.model.text_controller.vocabulary.characters == characters + '铺 '


def test_characters_are_read_from_text_and_from_the_pickle_of_oclip(tmp_path):
    text, pickled = tmp_path / 'characters.txt', tmp_path / 'char_dict'
    text.write_text('中\n文\nA\n', encoding='utf-8')
    pickled.write_bytes(pickle.dumps([ord(c) for c in '中文A']))
    assert read_characters(text) == read_characters(pickled) == '中文A'


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    touched = tmp_path / 'touched'

    class Attack:
        def __reduce__(self):
            return Path.touch, (touched,)

    path = tmp_path / 'char_dict'
    path.write_bytes(pickle.dumps([Attack()]))
    with pytest.raises(ValueError, match=r'char_dict is no pickled list.*could run code'):
        read_characters(path)
    assert not touched.exists()


def test_files_that_would_run_code_are_refused(odm, tmp_path):
    class Attack:
        def __reduce__(self):
            return Path.touch, (tmp_path / 'touched',)

    torch.save(dict(state_dict=odm, args=Attack()), tmp_path / 'odm.pt')
    with pytest.raises(ValueError, match='could run code'):
        load_checkpoint(tmp_path / 'odm.pt')
    assert not (tmp_path / 'touched').exists()


def test_settings_without_trace_in_the_weights_are_compared():
    model = released_config(ReleasedModel('ODM')).model.to_dict()
    model['text_controller']['vocabulary'] = dict(type='Vocabulary')
    model['image_encoder']['pool_heads'] = 32  # which is the default
    model['head']['norm_cfg'] = dict(type='BN', requires_grad=True)
    assert reference_differences(model) == []
    model['head']['norm_cfg']['eps'] = 1e-2
    model['image_encoder']['pool_heads'] = 16
    model['head']['upsample'] = 'bilinear'
    model['head'].pop('refine_stride')
    model['text_controller']['word_pooling'] = 'end'
    model['text_controller']['vocabulary'] = dict(type='Vocabulary', characters='abc')
    model['data_preprocessor'].update(mean=[123.675, 116.28, 103.53])
    model['image_encoder']['backbone'] = dict(type='mmdet.ResNet', depth=50)
    text = '; '.join(reference_differences(model))
    for difference in (
        'image_encoder.pool_heads is 16, must be 32',
        "head.norm_cfg is {'eps': 0.01,",
        "head.upsample is 'bilinear', must be 'nearest'",
        'head.refine_stride is 4, must be 2',
        "text_controller.word_pooling is 'end', must be 'mean'",
        'text_controller.vocabulary is not printable ASCII',
        'data_preprocessor has mean=[123.675',
        'backbone: ',
    ):
        assert difference in text


def test_going_back_needs_the_config_and_the_reference_sizes(odm, odm_conversion):
    with pytest.raises(ValueError, match='does not carry the config of an ODM'):
        released_checkpoint(dict(state_dict=from_released(odm)))
    with pytest.raises(ValueError, match='image_encoder.embed_dims is 48, must be 512'):
        released_checkpoint(odm_conversion.checkpoint)


@pytest.mark.parametrize('size', ['small', pytest.param('full', marks=pytest.mark.slow)])
def test_features_of_oclip_are_those_of_its_own_implementation(size, released_weights, full_sizes):
    """`data/oclip_features.npz` comes from bytedance/oclip, its model in evaluation mode.

    Weights: those of the fixture. `full` is its `RN50.json`, `small` has `vision_width` 16,
    `image_resolution` 128, `embed_dim` 48, `transformer_width` 32, `transformer_layers` 2,
    `transformer_decoder_layers` 1. Images and words: :func:`oclip_inputs`. Kept are
    `image_features`, `text_features`, `logit_scale`, for `small` also tokens and words.
    """
    sizes = dict(full_sizes, embed_dims=384) if size == 'full' else {}
    weights = released_weights('oCLIP', **sizes)
    model = build_odm(released_config(recognize_released(weights)), 'cpu').eval()
    model.load_state_dict(from_released(weights), strict=False)
    images, tokens = oclip_inputs(512 if size == 'full' else 128)
    shown = tokens.any(2)
    with torch.no_grad():
        outputs = model.encode_and_draw(images, tokens, shown, shown)
    results = dict(
        image_features=F.normalize(outputs['image_feature'], dim=-1),
        text_features=F.normalize(outputs['text_feature'], dim=-1),
        logit_scale=model.logit_scale.exp(),
        image_tokens=outputs['image_tokens'].flatten(2),
        words=outputs['words'],
    )
    golden = np.load(Path(__file__).parent / 'data' / 'oclip_features.npz')
    for key in golden.files:
        kind, _, name = key.partition('_')
        if kind == size:
            wanted = torch.from_numpy(golden[key])
            error = (results[name] - wanted).abs().max() / wanted.abs().max()
            print(f'{key}: relative error {error:.1e}')
            assert error <= 1e-4, key


def oclip_inputs(size):
    """Smooth noise, (2, 3, size, size), and words of random characters, (2, 32, 25)."""
    rng = np.random.default_rng([0, 1])
    noise = torch.from_numpy(rng.standard_normal((2, 3, 512, 512)).astype(np.float32))
    images = 5 * F.avg_pool2d(noise, 5, 1, 2)
    tokens = torch.zeros(2, 32, 25, dtype=torch.int64)
    for sample, count in enumerate((7, 3)):
        for word in range(count):
            length = rng.integers(1, 25)
            tokens[sample, word, :length] = torch.from_numpy(rng.integers(1, 95, length))
            tokens[sample, word, length] = 96
    return images[:, :, :size, :size].contiguous(), tokens
