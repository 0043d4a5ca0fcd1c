import pytest
from mmengine.config import Config

from odm_mmocr.benchmark.options import apply_options, expand_options, find_places
from odm_mmocr.checkpoints import load_config

DROP = 'train_dataloader..DropText'


@pytest.fixture
def cfg() -> Config:
    """A pre-training on a mixture, with pipelines of different lengths."""
    return Config(load_config('odm_pretrain_laptop_pseudo.py').to_dict())


def test_type_stands_for_all_of_its_kind(cfg):
    apply_options(cfg, {f'{DROP}.ratio': (0.0, 0.1)})
    mixed = cfg.train_dataloader.dataset.dataset.datasets
    ratios = [t.ratio for d in mixed for t in d.pipeline if t.type == 'DropText']
    assert ratios == [(0.0, 0.1)] * 3
    tested = cfg.val_dataloader.dataset.dataset.pipeline
    assert [t.ratio for t in tested if t.type == 'DropText'] == [(0.5, 0.5)]


def test_type_is_found_by_its_name_without_a_scope(cfg):
    assert find_places(cfg, 'model..ResNet.depth') == [
        ('model', 'image_encoder', 'backbone', 'depth')
    ]


def test_value_replaces_a_dictionary_whole(cfg):
    apply_options(cfg, {'model.loss_ocr': dict(type='A', x=1)})  # where there was None
    apply_options(cfg, {'model.loss_ocr': dict(type='B')})
    assert cfg.model.loss_ocr == dict(type='B')
    apply_options(cfg, {'model.loss_contrastive': None})
    assert cfg.model.loss_contrastive is None


def test_places_do_not_share_a_value(cfg):
    given = [0.1, 0.2]
    apply_options(cfg, {f'{DROP}.ratio': given})
    mixed = cfg.train_dataloader.dataset.dataset.datasets
    first, second, _ = (t.ratio for d in mixed for t in d.pipeline if t.type == 'DropText')
    first.append(0.3)
    assert second == given == [0.1, 0.2]


def test_options_are_written_out_with_plain_names(cfg):
    expanded = expand_options(cfg, {f'{DROP}.ratio': 1, 'load_from': 'x.pth'})
    assert expanded == {
        'train_dataloader.dataset.dataset.datasets.0.pipeline.5.ratio': 1,
        'train_dataloader.dataset.dataset.datasets.1.pipeline.2.ratio': 1,
        'train_dataloader.dataset.dataset.datasets.2.pipeline.5.ratio': 1,
        'load_from': 'x.pth',
    }


@pytest.mark.parametrize(
    'name',
    [
        'train_dataloader.dataset.dataset.ratios.1',
        'model.text_controller.match',  # no setting of this config, but an argument
        'train_cfg.val_begin',  # of a class that hands its arguments on
        'train_dataloader.dataset.seed',
        'train_dataloader.dataset.dataset.datasets.1.words',  # handed on to a class of its own
        'auto_scale_lr',  # an argument of the runner
    ],
)
def test_what_can_be_set(cfg, name):
    assert len(find_places(cfg, name)) == 1


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('model.los_ocr', "model has no 'los_ocr'; did you mean 'loss_ocr'"),
        ('modell.loss_ocr', "the config has no 'modell'; did you mean 'model'"),
        ('model.text_controller.mach', "did you mean 'match'"),
        (f'{DROP}.rato', "did you mean 'ratio'"),
        ('train_dataloader..DropTxt.ratio', "no type 'DropTxt'; did you mean 'DropText'"),
        ('train_dataloader.dataset.dataset.datasets.1.max_rotatio', "mean 'max_rotation'"),
        ('train_dataloader.dataset.dataset.datasets.3.seed', "items 0 to 2, no '3'"),
        ('train_dataloader.dataset.dataset.datasets.-1.seed', "items 0 to 2, no '-1'"),
        ('model.loss_ocr.scale', 'model.loss_ocr is None'),
        ('model.', "model has no ''"),
        ('.model', "the config has no ''"),
        ('', "the config has no ''"),
        ('model...ODM', "no type ''"),
        ('model.loss_word.nothing_like_it', 'there are'),
    ],
)
def test_wrong_name_is_told_with_the_nearest(cfg, name, message):
    before = cfg.to_dict()
    with pytest.raises(ValueError) as told:
        apply_options(cfg, {name: 1})
    assert f'option {name}: ' in str(told.value)
    assert message in str(told.value)
    assert cfg.to_dict() == before
