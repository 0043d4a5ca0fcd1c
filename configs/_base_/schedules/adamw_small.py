# Some thousand iterations with small batches.
optim_wrapper = dict(
    type='AutoAmpOptimWrapper',
    cpu_bfloat16=True,
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.99), weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=2.0),
    paramwise_cfg=dict(
        norm_decay_mult=0,
        bias_decay_mult=0,
        custom_keys=dict(in_proj_bias=dict(decay_mult=0), logit_scale=dict(decay_mult=0)),
    ),
)
train_cfg = dict(type='ResumableIterTrainLoop', max_iters=6000, val_interval=500)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=100, eta_min_ratio=0.02, by_epoch=False),
]
