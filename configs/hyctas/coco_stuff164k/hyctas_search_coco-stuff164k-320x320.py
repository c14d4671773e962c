# The paper's search on COCO-Stuff; candidates are scored on the validation images.
_base_ = [
    '../../default_runtime.py',
    '../../_base_/datasets/coco_stuff164k_320x320.py',
    '../../_base_/models/hyctas_supernet.py',
    '../../_base_/searches/paper.py',
]
model = dict(data_preprocessor=dict(size={{_base_.crop_size}}), decode_head=dict(num_classes={{_base_.num_classes}}))
train_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=True), dataset=dict(pipeline={{_base_.calibration_pipeline}})
)
train_cfg = dict(
    supernet='work_dirs/hyctas_supernet_1xb16-111k_coco-stuff164k-320x320/iter_111000.pth',
    subnet_config='hyctas-s_4xb4-320k_coco-stuff164k-640x640.py',
    input_hw=(640, 640),
)
