# A narrow HyCTAS-S (filter multiplier 8, output stride 8) on 100 images of COCO with the 133 official categories.
_base_ = [
    '../../panoptic_runtime.py',
    '../../_base_/datasets/coco200_panoptic.py',
    '../../_base_/models/hyctas_panoptic.py',
    '../../_base_/schedules/panoptic_sgd_poly.py',
]
model = dict(
    panoptic_head=dict(loss_semantic=dict(anneal_steps=2000)),  # half of the schedule
    test_cfg=dict(nms_kernel=41, stuff_area=4096, stuff_area_hw=(640, 640)),
)
