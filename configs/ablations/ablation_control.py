# What the parts of ODM are worth for the drawing, where it is learned within minutes: small images,
# two words of ten. No detector: ten words teach a backbone little. docs/ablations.md: how to run it.
_base_ = 'ablation_modules.py'

pretrain = dict(
    config='odm_pretrain_quickstart.py',
    options={'optim_wrapper.optimizer.lr': 1.5e-3},
    iterations=1700,
)
finetune = None
