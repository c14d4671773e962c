# The paper's search (section 4.2) on COCO-Stuff: 2400 candidates, batch norm recalculated on about 1000 training images, scored on the validation
# images.
_base_ = './hyctas_supernet_1xb16-111k_coco-stuff164k-320x320.py'
train_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=True), dataset=dict(pipeline={{_base_.calibration_pipeline}}))
train_cfg = dict(
    _delete_=True,
    type='NSGA2SearchLoop',
    supernet='work_dirs/hyctas_supernet_1xb16-111k_coco-stuff164k-320x320/iter_111000.pth',
    subnet_config='hyctas-s_4xb4-320k_coco-stuff164k-640x640.py',
    input_hw=(640, 640),
    objectives=['mIoU', 'latency_ms'],
    branches=(1, 2, 3),
    population=40,
    generations=20,
    crossover_prob=0.9,
    mutation_prob=0.02,
    calibration_batches=63,
    num_chosen=5,
)
custom_hooks = []
param_scheduler = None
default_hooks = dict(checkpoint=None)
