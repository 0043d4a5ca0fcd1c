# What fits into seven hours of one CPU core: parts, drop and noise ratios and rivals together, one
# pre-training each and one detector for each share of the labels, all of them short.
# docs/ablations.md: how to run it; docs/benchmarks: what came out.
_base_ = 'ablation_modules.py'

_drop = 'train_dataloader..DropText.ratio'
_noise = 'train_dataloader..NoiseText.ratio'
_from_nothing = {'optim_wrapper.optimizer.lr': 1e-3}  # as in the base

pretrain = dict(iterations=600, evaluations=1)
variants = {
    'drop and noise 0': {_drop: (0.0, 0.0), _noise: (0.0, 0.0)},
    'drop and noise 0.1 to 0.3': {_drop: (0.1, 0.3), _noise: (0.1, 0.3)},
    'drop and noise 0.3 to 0.5': {_drop: (0.3, 0.5), _noise: (0.3, 0.5)},
    'oCLIP': dict(config='oclip_pretrain_laptop_pseudo.py', **_from_nothing),
    'STKM': dict(config='stkm_pretrain_laptop_pseudo.py', **_from_nothing),
    'masked image modelling': dict(config='mim_pretrain_laptop_pseudo.py', **_from_nothing),
    'supervised detection': dict(config='dbnet_pretrain_laptop_pseudo.py', **_from_nothing),
    'random': None,
}
finetune = dict(seeds=[0], schedule=300, evaluations=1)
