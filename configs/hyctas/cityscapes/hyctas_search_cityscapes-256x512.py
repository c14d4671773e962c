# The paper's search (section 4.2): population 40, 20 generations, each number of branches by itself, 2400 candidates in all; batch norm
# recalculated on about 1000 training images; candidates scored on the validation images, as the paper does.
_base_ = './hyctas_supernet_1xb16-600e_cityscapes-256x512.py'
train_dataloader = dict(dataset=dict(pipeline={{_base_.test_pipeline}}))
train_cfg = dict(
    _delete_=True,
    type='NSGA2SearchLoop',
    supernet='work_dirs/hyctas_supernet_1xb16-600e_cityscapes-256x512/epoch_600.pth',
    subnet_config='hyctas-s_4xb8-186k_cityscapes-512x1024.py',
    input_hw=(1024, 2048),
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
