# ODM against what else a backbone can learn from the same images and words, in the same number of
# iterations; the detector has the learning rate that suits each best. docs/rivals.md says what the
# others are, docs/ablations.md how to run it.
_base_ = 'ablation_modules.py'

_from_nothing = {'optim_wrapper.optimizer.lr': 1e-3}  # as in the base

variants = {
    '_delete_': True,
    'ODM': {},
    'ODM without L_ocr': {'model.loss_ocr': None},  # the others have no teacher
    'ODM as in the paper': {
        'model.loss_word': None,
        'model.text_controller.match': False,
        'model.loss_seg.positive_weight': None,
        'model.loss_seg.dice_weight': 0.0,
    },
    'oCLIP': dict(config='oclip_pretrain_laptop_pseudo.py', **_from_nothing),
    'STKM': dict(config='stkm_pretrain_laptop_pseudo.py', **_from_nothing),
    'masked image modelling': dict(config='mim_pretrain_laptop_pseudo.py', **_from_nothing),
    'supervised detection': dict(config='dbnet_pretrain_laptop_pseudo.py', **_from_nothing),
    'random': None,
}
finetune = dict(lr_factors=[0.3, 1.0, 3.0])
