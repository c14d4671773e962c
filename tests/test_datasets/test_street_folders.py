from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from hyctas_mm.datasets import CamVidDataset, CheckLabels, IDDLiteDataset


def make(root: Path, stems: list[str]) -> Path:
    for folder, suffix in (('images/train', '.jpg'), ('labels/train', '.png')):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for stem in stems:
            cv2.imwrite(
                str(root / folder / f'{stem}{suffix}'), np.zeros((20, 30, 3 if suffix == '.jpg' else 1), np.uint8)
            )
    return root


def dataset(root: Path, cls: type = IDDLiteDataset, **options):
    return cls(
        data_root=str(root),
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        pipeline=[],
        **options,
    )


def test_parts_split_by_drive_and_share_nothing(tmp_path: Path) -> None:
    root = make(tmp_path, [f'{drive}_{frame}' for drive in range(60) for frame in range(3)])
    stems = {}
    for part in ('all', 'fit', 'select'):
        found = dataset(root, part=part)
        stems[part] = {Path(found.get_data_info(i)['img_path']).stem for i in range(len(found))}
    assert stems['fit'] | stems['select'] == stems['all'] and not stems['fit'] & stems['select'] and stems['select']
    assert not {s.split('_')[0] for s in stems['fit']} & {s.split('_')[0] for s in stems['select']}


def test_camvid_holds_its_clip_out(tmp_path: Path) -> None:
    root = make(tmp_path, ['0006R0_f1', '0016E5_2', '0001TP_3'])
    assert [Path(s['img_path']).stem for s in dataset(root, CamVidDataset, part='select').load_data_list()] == [
        '0006R0_f1'
    ]


def test_missing_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f'no folder {tmp_path}'):
        dataset(tmp_path)
    make(tmp_path, [])
    with pytest.raises(FileNotFoundError, match=r'no \*.jpg image'):
        dataset(tmp_path)
    make(tmp_path, ['1_1', '2_1'])
    (tmp_path / 'labels/train/2_1.png').unlink()
    with pytest.raises(FileNotFoundError, match='has no label .*2_1.png'):
        dataset(tmp_path)
    with pytest.raises(ValueError, match="part='half'"):
        dataset(tmp_path, part='half')


def sample(image: tuple[int, int], labels: np.ndarray) -> dict:
    return dict(img=np.zeros((*image, 3), np.uint8), gt_seg_map=labels, img_path='a.jpg', seg_map_path='a.png')


def test_labels_are_checked() -> None:
    check = CheckLabels(num_classes=7)
    good = sample((4, 5), np.array([[0, 6, 255, 3, 1]] * 4, np.uint8))
    assert check(good) is good
    with pytest.raises(ValueError, match=r'a.png holds \[7, 9\]; expected classes 0..6 or 255'):
        check(sample((1, 4), np.array([[0, 7, 9, 255]], np.uint8)))
    with pytest.raises(ValueError, match=r'a.jpg is 5x4 but its label a.png is 4x5'):
        check(sample((4, 5), np.zeros((5, 4), np.uint8)))


def test_real_sets(real_data: Path) -> None:
    for cls, name, sizes in ((IDDLiteDataset, 'idd_lite', (1186, 217)), (CamVidDataset, 'camvid', (266, 101))):
        found = tuple(len(dataset(real_data / name, cls, part=part)) for part in ('fit', 'select'))
        assert found == sizes
        assert (real_data / name / 'classes.txt').read_text().split() == list(cls.METAINFO['classes'])
