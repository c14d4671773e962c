"""Packaging of hyctas_mm."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r"'(.+)'", (ROOT / 'hyctas_mm' / 'version.py').read_text()).group(1)

setup(
    name='hyctas_mm',
    version=VERSION,
    description='Segmentation-architecture search for OpenMMLab: HyCTAS as an mmseg and mmdet plugin',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8') if (ROOT / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['hyctas_mm', 'hyctas_mm.*']),
    package_data={'hyctas_mm': ['archs/zoo/*.json']},
    python_requires='>=3.10,<3.13',
    # The OpenMMLab packages are installed by tools/install.sh: two sets of distributions serve the same import names (docs/design.md).
    install_requires=['matplotlib', 'numpy', 'onnx', 'onnxruntime', 'onnxscript', 'pymoo>=0.6.1.5', 'rich', 'torch>=2.4'],
    extras_require={
        'dev': ['hypothesis', 'import-linter', 'mypy', 'pre-commit', 'pytest', 'ruff', 'types-PyYAML'],
    },
    zip_safe=False,
)
