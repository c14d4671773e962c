# The paper's search, for the latency of whole images; candidates are scored on the validation images, as the paper
# does.
_base_ = [
    '../../default_runtime.py',
    '../../_base_/datasets/cityscapes_256x512.py',
    '../../_base_/models/hyctas_supernet.py',
    '../../_base_/searches/paper.py',
]
model = dict(data_preprocessor=dict(size={{_base_.crop_size}}))
train_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
train_cfg = dict(
    supernet='work_dirs/hyctas_supernet_1xb16-600e_cityscapes-256x512/epoch_600.pth',
    subnet_config='hyctas-s_4xb8-186k_cityscapes-512x1024.py',
    input_hw=(1024, 2048),
)
