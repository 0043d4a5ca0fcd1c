# DBNet with ResNet-50 on ICDAR 2015, from the backbone of odm_pretrain.py.
_base_ = 'mmocr::textdet/dbnet/dbnet_resnet50_1200e_icdar2015.py'
custom_imports = dict(imports=['odm_mmocr'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='ODMPretrained',
            # Another file: ODM_BACKBONE=… in the environment, or --backbone of tools/train.py.
            checkpoint='{{$ODM_BACKBONE:backbone_resnet50.pth}}',
            normalization=_base_.model.data_preprocessor,
        )
    )
)
