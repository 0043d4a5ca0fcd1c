# 100 epochs of 100,000 images, 32 at a time; with N GPUs give max_iters 312500 / N.
# The learning rate reaches zero there, wherever that is.
optim_wrapper = dict(
    type='AutoAmpOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.1, fused=True),
    paramwise_cfg=dict(
        norm_decay_mult=0,
        bias_decay_mult=0,
        custom_keys=dict(in_proj_bias=dict(decay_mult=0), logit_scale=dict(decay_mult=0)),
    ),
)
train_cfg = dict(type='ResumableIterTrainLoop', max_iters=312500, val_interval=5000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(base_batch_size=32)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-4, end=10000, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=10000, eta_min=0, by_epoch=False),
]
