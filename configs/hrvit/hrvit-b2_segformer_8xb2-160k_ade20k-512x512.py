_base_ = './hrvit-b1_segformer_8xb2-160k_ade20k-512x512.py'
model = dict(backbone=dict(arch='b2', drop_path_rate=0.2), decode_head=dict(in_channels=[48, 96, 240, 384]))
