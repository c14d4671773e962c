# The search of the wide space by gradients, four budgets with four candidates each: the time of NSGA-II's 108.
_base_ = './idd_lite_wide_3k_search.py'
train_cfg = dict(
    _delete_=True,
    type='GradientSearchLoop',
    supernet='work_dirs/idd_lite_wide_3k_supernet/iter_3000.pth',
    subnet_config='idd_lite_subnet.py',
    input_hw=(227, 320),
    objectives=['mIoU', 'latency_ms'],
    budgets=(6, 10, 16, 26),
    steps=150,
    num_chosen=4,
    calibration_batches=4,
    latency_table='work_dirs/idd_lite_latency_table.json',  # one for all experiments
    seed=0,
)
val_dataloader = dict(batch_size=8)
