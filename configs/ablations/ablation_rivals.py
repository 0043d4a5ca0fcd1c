# ODM against what else a backbone can learn from the same images and words, in the same number of
# iterations. docs/rivals.md says what the others are, docs/ablations.md how to run it.
_base_ = 'ablation_modules.py'

_from_nothing = {'optim_wrapper.optimizer.lr': 1e-3}  # as in the base

variants = {
    '_delete_': True,
    'ODM': {},
    'oCLIP': dict(config='oclip_pretrain_laptop_pseudo.py', **_from_nothing),
    'STKM': dict(config='stkm_pretrain_laptop_pseudo.py', **_from_nothing),
    'masked image modelling': dict(config='mim_pretrain_laptop_pseudo.py', **_from_nothing),
    'supervised detection': dict(config='dbnet_pretrain_laptop_pseudo.py', **_from_nothing),
    'random': None,
}
