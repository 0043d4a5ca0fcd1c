import json

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from odm_mmocr.apis import LabelBrowser
from odm_mmocr.checkpoints import load_config
from odm_mmocr.rendering import UnusablePolygon
from odm_mmocr.synthesis import SceneSynthesizer

STOCK = 'dbnet_resnet18_fpnc_1200e_icdar2015.py'


@pytest.fixture(scope='module')
def annotations(tmp_path_factory):
    """Spotting annotations of six scenes of two words, the first of which is ignored."""
    folder = tmp_path_factory.mktemp('scenes')
    synthesizer = SceneSynthesizer(
        size=(256, 192), words=['open', 'exit'], words_per_image=(2, 2), text_height=(20, 30)
    )
    data_list = []
    for index in range(6):
        scene = synthesizer(np.random.default_rng(index))
        cv2.imwrite(str(folder / f'{index}.png'), scene.image)
        instances = [
            dict(
                polygon=polygon.ravel().tolist(),
                bbox=[*polygon.min(0).tolist(), *polygon.max(0).tolist()],
                bbox_label=0,
                ignore=i == 0,
                text=text,
            )
            for i, (polygon, text) in enumerate(zip(scene.polygons, scene.texts))
        ]
        data_list.append(dict(img_path=f'{index}.png', height=192, width=256, instances=instances))
    for name, drop in (('textspotting.json', ()), ('textdet.json', ('text',))):
        kept = [
            {
                **d,
                'instances': [
                    {k: v for k, v in i.items() if k not in drop} for i in d['instances']
                ],
            }
            for d in data_list
        ]
        metainfo = dict(task_name=name.split('.')[0], category=[dict(id=0, name='text')])
        (folder / name).write_text(json.dumps(dict(metainfo=metainfo, data_list=kept)))
    return folder


def stock(annotations, transforms=None, file='textspotting.json', split='train'):
    cfg = load_config(STOCK)
    dataset = cfg[f'{split}_dataloader'].dataset
    dataset.update(data_root=str(annotations), ann_file=file)
    if transforms is not None:
        load, *_, pack = dataset.pipeline
        loader = next(t for t in dataset.pipeline if t.type == 'LoadOCRAnnotations')
        dataset.pipeline = [load, loader, *transforms, pack]
    return cfg


def test_own_config_is_shown_as_it_trains():
    cfg = load_config('odm_pretrain_quickstart.py')
    samples = list(LabelBrowser(cfg).draw(3))
    assert len(samples) == 3
    for sample in samples:
        assert sample.image.shape == (96, 128, 3)
        label = sample.data_sample.gt_destylized.label[0].numpy()
        assert label.shape == (96, 128)
        assert label.max() > 200
        assert sample.faults == [None, None]
    roles = [role for s in samples for role in s.data_sample.gt_instances.prompted.tolist()]
    assert False in roles  # Drop-Text has been at work


def test_seed_decides_which_samples_and_which_epoch():
    browser = LabelBrowser(load_config('odm_pretrain_quickstart.py'))
    first, again, other = (
        [sample.data_sample.metainfo['img_path'] for sample in browser.draw(3, seed)]
        for seed in (0, 0, 5)
    )
    assert first == again
    assert not set(first) & set(other)
    assert all(path.startswith('synthesized/0-5-') for path in other)


def test_stock_config_is_given_texts_and_a_label(annotations):
    for sample in LabelBrowser(stock(annotations, [])).draw(6):
        instances = sample.data_sample.gt_instances
        assert instances.prompted.tolist() == [False, True]
        assert instances.texts[1] in ('open', 'exit')
        maps = sample.data_sample.gt_destylized
        rows, columns = np.nonzero(maps.label[0].numpy() > 127)
        xs, ys = np.reshape(instances.polygons[1], (-1, 2)).T
        assert xs.min() - 1 <= columns.min() < columns.max() <= xs.max() + 1
        assert ys.min() - 1 <= rows.min() < rows.max() <= ys.max() + 1
        assert maps.ignore.any()


def test_words_that_a_stock_pipeline_spoils_are_told(annotations):
    transforms = [dict(type='Resize', scale=(256, 256), keep_ratio=True)]
    for sample in LabelBrowser(stock(annotations, transforms)).draw(6):
        ignored, spoilt = sample.faults
        assert ignored is None
        assert isinstance(spoilt, UnusablePolygon)
        assert not sample.data_sample.gt_destylized.label.any()


def test_polygons_of_a_stock_evaluation_lie_on_the_resized_image(annotations):
    cfg = stock(annotations, split='val')
    sample = next(LabelBrowser(cfg, 'val').draw(1))
    instances = sample.data_sample.gt_instances
    assert sample.image.shape[:2] == (736, 981)
    assert max(np.max(p) for p in instances.polygons) > 256  # beyond the image as it was


def test_fewer_samples_than_asked_for(annotations):
    browser = LabelBrowser(stock(annotations, []))
    paths = [sample.data_sample.metainfo['img_path'] for sample in browser.draw(100, 3)]
    assert paths == sorted(paths)
    assert len(paths) == len(browser) == 6


@pytest.mark.parametrize(
    ('make', 'settings', 'message'),
    [
        (lambda a: stock(a, file='textdet.json'), {}, r"another task.*no \['text'\]"),
        (lambda a: Config(dict(model=dict(type='ODM'))), {}, 'no train_dataloader'),
        (
            lambda a: load_config('odm_pretrain_quickstart.py'),
            dict(fonts='DejaVuSerif.ttf'),
            'renders labels with fonts of its own',
        ),
    ],
)
def test_what_cannot_be_shown_is_named(annotations, make, settings, message):
    with pytest.raises(ValueError, match=message):
        LabelBrowser(make(annotations), **settings)


def test_a_pipeline_that_loses_step_stops_with_the_reason(annotations):
    crop = [dict(type='MMOCR2MMDet')]
    cfg = stock(annotations, [lambda results: {**results, 'gt_texts': ['one']}, *crop])
    with pytest.raises(RuntimeError, match=r'2 polygons, 1 texts.*out of step'):
        next(LabelBrowser(cfg).draw(1))
