# A panoptic supernet on ADE20K with the settings of our Cityscapes supernets, on four GPUs: 111k steps of 16 crops, batch
# norm over all of them. The paper trains a supernet on Cityscapes only and moves the networks it finds.
_base_ = [
    '../../panoptic_runtime.py',
    '../../_base_/datasets/ade20k_panoptic_320x320.py',
    '../../_base_/models/hyctas_panoptic_supernet.py',
    '../../_base_/schedules/supernet_111k.py',
]
norm_cfg = dict(type='SyncBN', momentum=0.1)
model = dict(
    backbone=dict(norm_cfg=norm_cfg),
    panoptic_head=dict(
        norm_cfg=norm_cfg,
        num_things_classes=100,
        num_stuff_classes=50,
        loss_semantic=dict(anneal_steps=55_500),
    ),
    test_cfg=dict(nms_kernel=41, stuff_area=4096, stuff_area_hw=(640, 640)),
)
optim_wrapper = dict(clip_grad=dict(max_norm=5.0))  # see panoptic_186k.py
