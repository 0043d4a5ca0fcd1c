# DBNet with ResNet-18 on ICDAR 2015, from the backbone of odm_pretrain_resnet18.py.
_base_ = 'mmocr::textdet/dbnet/dbnet_resnet18_fpnc_1200e_icdar2015.py'
custom_imports = dict(imports=['odm_mmocr'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='ODMPretrained',
            # Another file: ODM_BACKBONE=… in the environment, or --backbone of tools/train.py.
            checkpoint='{{$ODM_BACKBONE:backbone_resnet18.pth}}',
            normalization=_base_.model.data_preprocessor,
        )
    )
)
