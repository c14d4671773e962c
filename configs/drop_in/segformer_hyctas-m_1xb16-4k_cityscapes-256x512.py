# mmseg's segformer_mit-b0 with HyCTAS-M in the place of the MiT-B0 encoder.
_base_ = [
    '../default_runtime.py',
    '../_base_/datasets/cityscapes_256x512.py',
    '../_base_/models/drop_in.py',
    '../_base_/schedules/sgd_poly.py',
]
model = dict(decode_head=dict(type='SegformerHead', in_index=[0, 1, 2, 3], channels=256, dropout_ratio=0.1))
auto_scale_lr = dict(base_batch_size=16)
