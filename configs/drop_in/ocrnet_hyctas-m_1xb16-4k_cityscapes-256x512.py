# mmseg's ocrnet_hr18 with HyCTAS-M in the place of HRNet: a cascade of two heads, each of which reads all four maps.
_base_ = [
    '../default_runtime.py',
    '../_base_/datasets/cityscapes_256x512.py',
    '../_base_/models/drop_in.py',
    '../_base_/schedules/sgd_poly.py',
]
shared = dict(
    in_channels=[96, 64, 128, 384],  # the backbone's out_channels
    in_index=(0, 1, 2, 3),
    input_transform='resize_concat',
    dropout_ratio=-1,
    num_classes=19,
    norm_cfg={{_base_.norm_cfg}},
    align_corners=False,
)
model = dict(
    type='CascadeEncoderDecoder',
    num_stages=2,
    decode_head=[
        dict(
            **shared,
            type='FCNHead',
            channels=sum([96, 64, 128, 384]),
            kernel_size=1,
            num_convs=1,
            concat_input=False,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4),
        ),
        dict(
            **shared,
            type='OCRHead',
            channels=512,
            ocr_channels=256,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
        ),
    ],
)
auto_scale_lr = dict(base_batch_size=16)
