"""What the checker finds in MMOCR's transforms, in broken ones, and in none of ours."""

import copy

import cv2
import numpy as np
import pytest

pytest.importorskip('mmocr')

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmocr.registry import TRANSFORMS

import odm_mmocr  # noqa: F401, registers
from odm_mmocr.datasets import SynthesizedSceneText
from odm_mmocr.evaluation.pipeline_check import (
    PipelineChecker,
    PipelineError,
    build_datasets,
    check_datasets,
    transform_name,
)
from odm_mmocr.evaluation.pipeline_judgement import run_seeded
from odm_mmocr.evaluation.pipeline_report import NOTED_KINDS, StepReport, write_pictures

LOAD = [
    dict(type='LoadImageFromNDArray'),
    dict(
        type='LoadOCRAnnotations',
        with_polygon=True,
        with_bbox=True,
        with_label=True,
        with_text=True,
    ),
]
LOADED = len(LOAD)


@pytest.fixture(scope='module', autouse=True)
def _mmocr_scope():
    init_default_scope('mmocr')


@pytest.fixture(scope='module')
def samples() -> list[dict]:
    """Eight scenes of several straight, high words; the last word of each is ignored."""
    dataset = SynthesizedSceneText(
        size=(480, 360),
        words_per_image=(5, 7),
        text_height=(18, 40),
        curved=0.0,
        vertical=0.0,
        seed=3,
    )
    samples = [dataset.get_data_info(index) for index in range(8)]
    for sample in samples:
        sample.pop('gt_char_polygons')
        sample['instances'][-1]['ignore'] = True
    return samples


def check(samples: list[dict], *transforms, **settings) -> StepReport:
    """What is found of the last transform."""
    built = [TRANSFORMS.build(t) if isinstance(t, dict) else t for t in (*LOAD, *transforms)]
    checker = PipelineChecker(built, **settings)
    for index, sample in enumerate(samples):
        checker.check(copy.deepcopy(sample), index)
    return checker.report.steps[max(checker.report.steps)]


def found(step: StepReport) -> set[str]:
    return {kind for kind, count in step.counts.items() if count}


LOST = {'direction', 'unreadable'}


@pytest.mark.parametrize(
    ('config', 'expected'),
    [
        (dict(type='Resize', scale=(640, 480)), LOST),
        (dict(type='BoundedScaleAspectJitter', long_size_bound=600, short_size_bound=300), LOST),
        (dict(type='ShortScaleAspectJitter', short_size=300, scale_divisor=32), LOST),
        (dict(type='RandomResize', scale=(500, 500), ratio_range=(0.75, 1.5)), LOST),
        (dict(type='ImgAugWrapper', args=[dict(cls='Affine', rotate=[-10, 10])]), LOST),
        (dict(type='RandomRotate', max_angle=10, use_canvas=False), LOST),
        (dict(type='RandomFlip', prob=1.0, direction='horizontal'), {'mirrored'}),
    ],
    ids=lambda value: value['type'] if isinstance(value, dict) else '',
)
def test_stock_transforms_that_lose_every_word(samples, config, expected):
    step = check(samples, config)
    assert expected <= found(step) <= expected | {'clipped'}
    assert step.words > 20
    for kind in expected:
        assert step.counts[kind] >= 0.95 * step.words


def test_resize_is_sound_without_clipping(samples):
    """At the scale of 3 the half pixel between pixel centres and edges counts, and is allowed."""
    for scale in ((1440, 1080), (160, 120), (700, 300)):
        step = check(samples, dict(type='Resize', scale=scale, clip_object_border=False))
        assert not found(step)
        assert step.instances > 30


def test_texts_that_are_not_cropped_with_their_polygons(samples):
    step = check(samples, dict(type='TextDetRandomCrop', target_size=(200, 150)))
    assert {'out of step', 'clipped', 'direction'} <= found(step)
    assert step.counts['out of step'] >= len(samples) / 2


def test_polygons_paired_with_wrong_texts(samples):
    config = dict(type='TextDetRandomCropFlip', crop_ratio=1.0, min_area_ratio=0.05)
    step = check(samples, config)
    assert {'wrong text', 'mirrored', 'wrong ignore flag'} <= found(step)
    # Words that are turned by a half are mirrored along both axes, hence not.
    assert 'moved' not in found(step) and 'direction' not in found(step)


@pytest.mark.parametrize(
    'config',
    [
        dict(type='RandomCrop', min_side_ratio=0.3),
        dict(type='RandomRotate', max_angle=30, use_canvas=True),
        dict(type='RandomRotate', max_angle=30, use_canvas=True, pad_with_fixed_color=True),
        dict(type='Pad', size=(640, 640)),
        dict(type='SourceImagePad', target_scale=640),
        dict(type='FixInvalidPolygon'),
        dict(type='RemoveIgnored'),
        dict(type='RandomApply', prob=0.5, transforms=[dict(type='RandomCrop')]),
        dict(
            type='TorchVisionWrapper',
            op='ColorJitter',
            brightness=0.5,
            contrast=0.5,
            saturation=0.5,
            hue=0.3,
        ),
        dict(type='ImgAugWrapper', args=[['GaussianBlur', 2.0]], fix_poly_trans=None),
        dict(type='WarpScene', scale=(320, 320)),
        dict(type='WarpScene', scale=(512, 384), augment=False),
        dict(type='WarpScene', rotation=180.0, perspective=0.5, distort_prob=1.0),
        dict(type='DropText'),
        dict(type='RenderDestylizedLabel'),
    ],
    ids=lambda config: config['type'],
)
def test_transforms_that_keep_everything_in_step(samples, config):
    step = check(samples, config)
    if config['type'] == 'ImgAugWrapper':
        # It reverses the polygons of an image that it only blurs.
        assert found(step) == LOST
    else:
        assert not found(step), step.examples
    assert step.words >= 15


def in_place(function):
    """A transform that changes results in place."""

    def transform(results: dict) -> dict:
        function(results)
        return results

    return transform


def swap_texts(results):
    texts = results['gt_texts']
    texts[0], texts[1] = texts[1], texts[0]


def shift_polygons(results):
    results['gt_polygons'] = [p + np.float32(20) for p in results['gt_polygons']]
    results['gt_bboxes'] = results['gt_bboxes'] + np.float32(20)


def flip_image(results):
    results['img'] = results['img'][:, ::-1]


def reverse_polygons(results):
    results['gt_polygons'] = [
        np.roll(p.reshape(-1, 2)[::-1], 1, axis=0).ravel() for p in results['gt_polygons']
    ]


def turn_polygons(results):
    """Starts at the opposite vertex: what the order alone does not show."""
    results['gt_polygons'] = [
        np.roll(p.reshape(-1, 2), 2, axis=0).ravel() for p in results['gt_polygons']
    ]


def drop_text(results):
    results['gt_texts'] = results['gt_texts'][1:]


def drop_box(results):
    results['gt_bboxes'] = results['gt_bboxes'][1:]


def shuffle_boxes(results):
    results['gt_bboxes'] = results['gt_bboxes'][::-1]


def crop_image_alone(results):
    results['img'] = results['img'][30:, 40:]


def unignore(results):
    results['gt_ignored'] = np.zeros_like(results['gt_ignored'])


def cut_polygons(results):
    """Cuts polygons off where the image is cut, and keeps all of their texts."""
    x = float(np.mean(results['gt_polygons'][0][0::2]))
    results['img'] = results['img'][:, : int(x)]
    for polygon in results['gt_polygons']:
        points = polygon.reshape(4, 2)
        for left, right in ((0, 1), (3, 2)):
            if points[left, 0] < x < points[right, 0]:
                share = (x - points[left, 0]) / (points[right, 0] - points[left, 0])
                points[right] = points[left] + share * (points[right] - points[left])


def fail(results):
    raise RuntimeError('out of luck')


@pytest.mark.parametrize(
    ('function', 'expected'),
    [
        (swap_texts, {'wrong text'}),
        (shift_polygons, {'moved'}),
        (flip_image, {'moved'}),
        (crop_image_alone, {'moved'}),
        (drop_text, {'out of step'}),
        (drop_box, {'out of step'}),
        (shuffle_boxes, {'out of step'}),
        (unignore, {'wrong ignore flag'}),
        (reverse_polygons, {'direction', 'unreadable'}),
        (turn_polygons, {'direction'}),
        (cut_polygons, {'clipped'}),
        (fail, {'failed'}),
    ],
    ids=lambda value: getattr(value, '__name__', ''),
)
def test_broken_transforms_are_found_as_what_they_are(samples, function, expected):
    step = check(samples, in_place(function))
    # Mirrored pixels under a polygon, or what lies next to the word, may count besides.
    assert expected <= found(step) <= expected | ({'mirrored'} if 'moved' in expected else set())


def test_shares_are_of_what_is_broken(samples):
    step = check(samples, in_place(swap_texts))
    assert step.counts['wrong text'] == 2 * len(samples)
    assert check(samples, in_place(shift_polygons)).counts['moved'] > 0.8 * 4 * len(samples)
    assert check(samples, in_place(drop_text)).counts['out of step'] == len(samples)


def test_a_fault_is_reported_of_the_transform_that_causes_it(samples):
    broken, sound = in_place(turn_polygons), dict(type='WarpScene', augment=False)
    assert found(check(samples, broken)) == {'direction'}
    assert not found(check(samples, broken, sound))
    # Put right again, and wrong again.
    assert not found(check(samples, broken, broken))
    assert found(check(samples, broken, broken, broken)) == {'direction'}


def test_padding_brings_nothing_into_sight(samples):
    """What a crop has cut off stays off, and is not expected to come back."""
    crop = dict(type='TextDetRandomCrop', target_size=(200, 150))
    for padding in (
        dict(type='Pad', size=(640, 640)),
        dict(type='SourceImagePad', target_scale=320),
        dict(type='WarpScene', augment=False),
    ):
        step = check(samples, crop, padding)
        assert step.words > 5
        assert not found(step)


def test_a_word_that_was_too_low_does_not_count_against_a_later_transform(samples):
    small = dict(type='Resize', scale=(96, 72))
    large = dict(type='Resize', scale=(960, 720), clip_object_border=False)
    step = check(samples, small, large)
    assert step.words > 20
    assert not found(step)


def test_labels_are_read_where_they_are_drawn_otherwise(samples):
    pictures = []

    def reader(crops):
        pictures.extend(crops)
        return [('right' if i % 2 == 0 else 'wrong', 1.0) for i in range(len(crops))]

    settings = dict(reader=reader, same_word=lambda read, text: read == 'right')
    step = check(samples, in_place(turn_polygons), **settings)
    assert step.counts['unreadable'] == step.counts['direction'] == len(pictures) / 2
    # A pair of pictures shows one word, the second one turned by a half.
    for upright, turned in zip(pictures[::2], pictures[1::2]):
        difference = np.abs(upright.astype(int) - turned[::-1, ::-1]).mean()
        assert difference < np.abs(upright.astype(int) - turned).mean() / 2
    step = check(samples, in_place(turn_polygons), **settings | dict(same_word=lambda *_: True))
    assert not step.counts['unreadable']


def test_what_draws_at_random_on_its_own_is_not_judged(samples):
    rng = np.random.default_rng()

    class Unseeded:
        def __deepcopy__(self, memo):
            return self

        def __call__(self, results):
            shift = rng.integers(1, 50)
            results['img'] = results['img'][:, shift:]
            results['gt_polygons'] = [
                p - np.tile(np.float32([shift, 0]), len(p) // 2) for p in results['gt_polygons']
            ]
            results['gt_bboxes'] = results['gt_bboxes'] - np.float32([shift, 0, shift, 0])
            return results

    step = check(samples, Unseeded())
    assert set(found(step)) == set(NOTED_KINDS)
    assert step.counts['unverified'] >= len(samples) - 1


def test_colours_do_not_hide_the_geometry(samples):
    jitter = dict(type='TorchVisionWrapper', op='ColorJitter', brightness=0.3, saturation=0.5)
    hue = dict(type='TorchVisionWrapper', op='ColorJitter', hue=0.4)
    flip = dict(type='RandomFlip', prob=1.0, direction='horizontal')
    step = check(samples, dict(type='RandomApply', prob=1.0, transforms=[jitter, hue, flip]))
    assert step.counts['mirrored'] == step.words > 20
    assert found(step) == {'mirrored'}


def test_polygons_that_are_away_for_a_while(samples):
    transforms = [
        dict(type='MMOCR2MMDet'),
        dict(type='mmdet.RandomFlip', prob=1.0),
        dict(type='MMDet2MMOCR'),
    ]
    step = check(samples, *transforms)
    assert step.name == 'MMOCR2MMDet + RandomFlip + MMDet2MMOCR'
    assert found(step) == {'mirrored'}
    pack = dict(type='PackTextDetInputs', meta_keys=())
    packed = check(samples, dict(type='Pad', size=(640, 640)), pack)
    assert packed.name == 'Pad'


def test_images_without_result_are_counted(samples):
    step = check(samples, lambda results: None)
    assert step.skipped == step.images == len(samples)


def test_a_pipeline_without_polygons_is_an_error(samples):
    checker = PipelineChecker([TRANSFORMS.build(LOAD[0])])
    with pytest.raises(PipelineError, match='loads no polygons'):
        checker.check(copy.deepcopy(samples[0]))


def test_a_pipeline_that_loads_no_texts_is_given_them(samples):
    load = dict(type='LoadOCRAnnotations', with_polygon=True, with_bbox=True, with_label=True)
    flip = dict(type='TextDetRandomCropFlip', crop_ratio=1.0, min_area_ratio=0.05)
    for keys in ({'text'}, set()):
        checker = PipelineChecker([TRANSFORMS.build(t) for t in (LOAD[0], load, flip)])
        for index, sample in enumerate(copy.deepcopy(samples)):
            for instance in sample['instances']:
                for key in keys:
                    del instance[key]
            checker.check(sample, index)
        assert checker.report.steps[LOADED].counts['wrong text']
        assert len(checker.report.notes) == 1 + len(keys)


def test_run_seeded_repeats_the_draws_of_every_generator(samples):
    transforms = [
        TRANSFORMS.build(t)
        for t in (*LOAD, dict(type='ImgAugWrapper', args=[dict(cls='Affine', rotate=[-30, 30])]))
    ]
    once, again, other = (run_seeded(transforms, samples[0], (0, i)) for i in (1, 1, 2))
    np.testing.assert_array_equal(once['img'], again['img'])
    np.testing.assert_array_equal(once['gt_polygons'][0], again['gt_polygons'][0])
    assert not np.array_equal(once['gt_polygons'][0], other['gt_polygons'][0])


def test_names_show_what_is_wrapped():
    config = dict(
        type='RandomChoice',
        transforms=[
            [dict(type='RandomCrop'), dict(type='Pad', size=(9, 9))],
            dict(type='TorchVisionWrapper', op='ColorJitter'),
        ],
    )
    name = transform_name(TRANSFORMS.build(config))
    assert name == 'RandomChoice(RandomCrop, Pad, TorchVisionWrapper(ColorJitter))'


def synthesized(pipeline: list[dict], **settings) -> dict:
    settings = dict(size=(320, 240), words_per_image=(2, 3), text_height=(20, 40)) | settings
    return dict(type='SynthesizedSceneText', epoch_length=20, pipeline=pipeline, **settings)


def test_data_sets_are_unwrapped_and_each_is_checked(tmp_path):
    sound, broken = dict(type='Pad', size=(400, 400)), dict(type='RandomFlip', prob=1.0)
    joined = dict(
        type='ConcatDataset',
        datasets=[synthesized([*LOAD, sound]), synthesized([*LOAD, broken])],
        verify_meta=False,
    )
    cfg = Config(
        dict(train_dataloader=dict(dataset=dict(type='RepeatDataset', dataset=joined, times=2)))
    )
    seen = []
    reports = check_datasets(build_datasets(cfg), 3, lambda *state: seen.append(state))
    assert [report.images for report in reports] == [3, 3]
    assert seen == [(i, 6) for i in range(1, 7)]
    assert reports[0].found == 0
    assert reports[1].found == reports[1].steps[LOADED].words > 0
    table = reports[1].table().splitlines()
    assert table[0].split()[-1] == 'mirrored'
    assert table[1].startswith('2 RandomFlip') and table[1].endswith('(100.0 %)')

    (path,) = write_pictures(reports[1], tmp_path / 'new')
    assert path.name == '02_RandomFlip_mirrored.png'
    assert cv2.imread(str(path)).shape[1] > 900
    assert write_pictures(reports[0], tmp_path / 'none') == []


def test_missing_data_is_an_error_that_says_what_to_give(tmp_path):
    dataset = dict(type='OCRDataset', data_root=str(tmp_path), ann_file='no.json', pipeline=LOAD)
    cfg = Config(dict(train_dataloader=dict(dataset=dataset)))
    with pytest.raises(PipelineError, match='--data-root and --ann-file'):
        build_datasets(cfg)
    with pytest.raises(PipelineError, match='no val_dataloader'):
        build_datasets(cfg, 'val')


def test_places_that_nothing_takes_are_an_error(tmp_path):
    made = synthesized(LOAD)
    cfg = Config(dict(train_dataloader=dict(dataset=made)))
    assert len(build_datasets(cfg)) == 1
    for place in (dict(data_root=str(tmp_path)), dict(ann_file='no.json')):
        with pytest.raises(PipelineError, match='nothing to replace'):
            build_datasets(cfg, **place)
    # Of several data sets one has to take them, wherever it stands.
    annotated = dict(type='OCRDataset', ann_file='a.json', pipeline=LOAD)
    for datasets in ([made, annotated], [annotated, made]):
        joined = dict(type='ConcatDataset', datasets=datasets)
        cfg = Config(dict(train_dataloader=dict(dataset=joined)))
        with pytest.raises(PipelineError, match=r'no\.json'):
            build_datasets(cfg, data_root=str(tmp_path), ann_file='no.json')


def test_texts_that_become_what_is_drawn_stay_paired(samples):
    """Which transforms see to, for every pipeline of ours."""
    checker = PipelineChecker([TRANSFORMS.build(c) for c in [*LOAD, dict(type='WarpScene')]])
    sample = copy.deepcopy(samples[0])
    for instance in sample['instances']:
        instance['text'] = f' {instance["text"]} \u200b'
    checker.check(sample)
    assert checker.report.found == 0 and checker.report.steps
