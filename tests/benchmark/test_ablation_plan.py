from dataclasses import replace

import pytest

from odm_mmocr.benchmark import AblationPlan, Pretraining, Variant, load_plan
from odm_mmocr.benchmark.protocol import Recipe, Start

PLAN = """
_drop = 'train_dataloader..DropText.ratio'
pretrain = dict(config='odm_pretrain_quickstart.py', options={'model.loss_ocr': None})
variants = {
    'full': {},
    'without L_ocr': {_drop: (0.0, 0.1)},
    'rival': dict(config='odm_pretrain_laptop.py', iterations=7, **{'model.loss_word': None}),
    'ImageNet': dict(backbone='resnet18.pth'),
    'random': None,
}
finetune = dict(
    config='dbnet_resnet18_reduced_icdar2015.py',
    lr_factors=[0.3, 1.0],
    batch_norm=['learning', 'frozen'],
    schedule=20,
    options={'train_dataloader.batch_size': 2},
)
seeds = [0, 3]
"""


def write(folder, text=PLAN):
    path = folder / 'a_plan.py'
    path.write_text(text)
    return str(path)


def test_plan_is_read(tmp_path):
    plan = load_plan(write(tmp_path), {'load_from': 'a.pth'}, {'train_dataloader.batch_size': 4})
    assert (plan.name, plan.seeds, plan.shared) == ('a_plan', [0, 3], {'load_from': 'a.pth'})
    full, without, rival, imagenet, random = plan.variants
    assert plan.reference is full
    assert without.options == {'train_dataloader..DropText.ratio': (0.0, 0.1)}
    assert (rival.config, rival.iterations) == ('odm_pretrain_laptop.py', 7)
    assert rival.options == {'model.loss_word': None}
    assert [v.pretrains for v in plan.variants] == [True, True, True, False, False]
    assert without.start(3, 'b.pth', 'f') == Start('without-L-ocr-seed3', 'b.pth', 'f')
    assert imagenet.start(3) == Start('ImageNet', 'resnet18.pth')
    assert random.start(3) == Start('random')
    assert plan.finetune.options == {'train_dataloader.batch_size': 4}


def test_comparison_of_a_plan(tmp_path):
    compared = load_plan(write(tmp_path)).finetune.compared([Start('random')])
    assert list(map(str, compared.recipes[:3])) == ['lr0.3', 'lr0.3-bn-frozen', 'lr1']
    assert compared.recipes[3] == Recipe(1.0, True)
    assert (compared.schedule, compared.options) == ('20', {'train_dataloader.batch_size': 2})


def test_plan_inherits_like_a_config(tmp_path):
    write(tmp_path)
    path = tmp_path / 'other.py'
    path.write_text("_base_ = 'a_plan.py'\nseeds = [1]\nvariants = {'more': {}}\nfinetune = None\n")
    plan = load_plan(str(path))
    assert [v.name for v in plan.variants][-2:] == ['random', 'more']
    assert (plan.seeds, plan.finetune) == ([1], None)


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('seeds =', 'sedes =', "'sedes' means nothing; did you mean 'seeds'"),
        ('variants =', '_variants =', 'variants is missing'),
        ('pretrain = dict(config', 'pretrain = dict(cofig', "'cofig' means nothing; did you mean"),
        ("config='odm_pretrain_quickstart.py', ", '', 'pretrain: config is missing'),
        (
            'lr_factors',
            'lr_factor',
            "'lr_factor' means nothing; did you mean 'lr_factors'",
        ),
        ("'frozen'", "'froze'", "'froze' is neither"),
        ('[0, 3]', '[0, 0]', 'seeds are different'),
        ('[0, 3]', '[]', 'seeds are different'),
        ('[0, 3]', '3', 'seeds is a list, not 3'),
        ('finetune = dict(', "finetune = 'dbnet.py'\n_unused = dict(", "finetune is 'dbnet.py'"),
        ('lr_factors=[', 'lr_factors=0.3 or [', 'finetune.lr_factors is a list, not 0.3'),
        ('[0, 3]', '[-1]', 'seeds are different'),
        ('None,\n}', '3,\n}', "variant 'random' is 3"),
        ("'random': None", "'random': {}", 'is to be None'),
        ("'random': None", "'Without L_ocr': {}, 'without L ocr': {}", 'cannot be told from'),
        ("'random': None", "'%': {}", 'cannot be told from'),
        ("'random': None", "'full seed3': dict(backbone='b.pth')", 'cannot be told from a seed of'),
        ('iterations=7', 'iterations=0', 'rival: iterations is a whole number from 1, not 0'),
        ("options={'model", "evaluations=0, options={'model", 'pretrain.evaluations is a whole'),
        ("'resnet18.pth'", "'x.pth', iterations=3", 'nothing of a pre-training can be set'),
        ('{_drop:', "{'val_dataloader.batch_size':", 'validated alike'),
        ('{_drop:', "{'test_evaluator':", 'validated alike'),
        ('{_drop:', "{'train_cfg.max_iters':", 'say iterations=… instead'),
    ],
)
def test_wrong_plan(tmp_path, old, new, message):
    assert old in PLAN
    with pytest.raises(ValueError) as told:
        load_plan(write(tmp_path, PLAN.replace(old, new, 1)))
    assert message in str(told.value)


def test_option_of_the_detector_that_is_not_there(tmp_path):
    plan = load_plan(write(tmp_path), {}, {'train_dataloader.batch_sise': 4})
    with pytest.raises(ValueError, match="did you mean 'batch_size'"):
        plan.finetune.compared([Start('random')])


def test_variants_are_chosen_by_name(tmp_path):
    plan = load_plan(write(tmp_path))
    assert plan.choose([]) == list(plan.variants)
    assert [v.name for v in plan.choose(['rival', 'full'])] == ['full', 'rival']
    with pytest.raises(ValueError, match="no variant 'ful'; did you mean 'full'"):
        plan.choose(['ful'])


def test_plan_without_variants():
    plan = AblationPlan('a', Pretraining('a.py'), [Variant('x')], None)
    with pytest.raises(ValueError, match='a has no variants'):
        replace(plan, variants=[])
