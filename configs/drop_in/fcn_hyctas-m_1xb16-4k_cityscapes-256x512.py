# mmseg's fcn_hr18 with HyCTAS-M in the place of HRNet: the head reads all four maps, put together at stride 4.
_base_ = [
    '../default_runtime.py',
    '../_base_/datasets/cityscapes_256x512.py',
    '../_base_/models/drop_in.py',
    '../_base_/schedules/sgd_poly.py',
]
model = dict(
    decode_head=dict(
        type='FCNHead',
        in_index=(0, 1, 2, 3),
        channels=sum([96, 64, 128, 384]),
        input_transform='resize_concat',
        kernel_size=1,
        num_convs=1,
        concat_input=False,
        dropout_ratio=-1,
    ),
)
auto_scale_lr = dict(base_batch_size=16)
