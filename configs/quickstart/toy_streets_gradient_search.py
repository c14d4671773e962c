# A search by gradients on toy streets, on the supernet of the quickstart's.
_base_ = './toy_streets_search.py'
train_cfg = dict(
    _delete_=True,
    type='GradientSearchLoop',
    supernet='work_dirs/quickstart/toy_streets/supernet/iter_1200.pth',
    subnet_config='toy_streets_subnet.py',
    input_hw=(128, 256),
    objectives=['mIoU', 'latency_ms'],
    budgets=(6, 10),
    steps=100,
    calibration_batches=6,
    num_chosen=3,
    latency_seconds=0.03,
)
