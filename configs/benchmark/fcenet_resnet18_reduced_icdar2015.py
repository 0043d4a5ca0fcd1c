# FCENet as MMOCR has it, but with a ResNet-18 and a quicker way to the same polygons; data,
# schedule and tests of dbnet_resnet18_reduced_icdar2015.py.
_base_ = 'dbnet_resnet18_reduced_icdar2015.py'

model = dict(
    _delete_=True,
    type='FCENet',
    backbone=dict(
        type='mmdet.ResNet',
        depth=18,
        num_stages=4,
        out_indices=(1, 2, 3),
        frozen_stages=-1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch',
    ),
    neck=dict(
        type='mmdet.FPN',
        in_channels=[128, 256, 512],
        out_channels=256,
        add_extra_convs='on_output',
        num_outs=3,
        relu_before_extra_convs=True,
        act_cfg=None,
    ),
    det_head=dict(
        type='FCEHead',
        in_channels=256,
        fourier_degree=5,
        module_loss=dict(type='FCEModuleLoss', num_sample=50),
        postprocessor=dict(
            type='FastFCEPostprocessor',
            scales=(8, 16, 32),
            text_repr_type='quad',
            num_reconstr_points=50,
            alpha=1.2,
            beta=1.0,
            score_thr=0.3,
        ),
    ),
    data_preprocessor=_base_.model.data_preprocessor,
)
