# 108 candidates, of a supernet that was trained for 1500 steps.
_base_ = '../hyctas/idd_lite/hyctas_search_idd-lite-227x320.py'
train_cfg = dict(
    supernet='work_dirs/idd_lite_supernet/iter_1500.pth',
    population=12,
    generations=3,
    calibration_batches=4,
    latency_table='work_dirs/idd_lite_latency_table.json',  # one for all experiments
    subnet_config='idd_lite_subnet.py',
)
