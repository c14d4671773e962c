"""Packaging of hyctas_mm: the package, and in it what mim looks for in ``hyctas_mm/.mim``: configs, tools and the
model index.
"""

import os
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
VERSION = re.search(r"'(.+)'", (ROOT / 'hyctas_mm' / 'version.py').read_text()).group(1)
MIM_FILES = ('configs', 'tools', 'model-index.yml')


def add_mim_files(folder: Path, link: bool = False) -> None:
    """Puts configs, tools and the model index into ``folder/.mim``, as copies or as links; what was there before
    goes.
    """
    mim = folder / '.mim'
    shutil.rmtree(mim, ignore_errors=True)
    mim.mkdir(parents=True)
    for name in MIM_FILES:
        source, target = ROOT / name, mim / name
        if link:
            target.symlink_to(os.path.relpath(source, mim))
        elif source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copyfile(source, target)


class BuildPackage(build_py):
    """Adds mim's files: copies in what is built, links in a checkout that is installed in editable form."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            add_mim_files(ROOT / 'hyctas_mm', link=True)  # git ignores them
        else:
            add_mim_files(Path(self.build_lib, 'hyctas_mm'))


class BuildWheel(bdist_wheel):
    """Adds mim's files beside the wheel's metadata too, for mim's sake.

    onedl-mim 0.5 takes the folder of the first file in RECORD for the package's. pip sorts RECORD, so where a
    distribution is called as its package, as here, that is the folder of the metadata, and mim would find no tools. An
    editable install it finds through its checkout.
    """

    def write_wheelfile(self, wheelfile_base: str, *args: str, **kwargs: str) -> None:
        super().write_wheelfile(wheelfile_base, *args, **kwargs)
        if 'bdist_wheel' in self.distribution.commands:
            add_mim_files(Path(wheelfile_base))


setup(
    name='hyctas_mm',
    version=VERSION,
    description='Segmentation-architecture search for OpenMMLab: HyCTAS as an mmseg and mmdet plugin',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8') if (ROOT / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['hyctas_mm', 'hyctas_mm.*']),
    package_data={'hyctas_mm': ['archs/zoo/*.json', 'report/assets/*', 'report/templates/*']},
    cmdclass={'build_py': BuildPackage, 'bdist_wheel': BuildWheel},
    python_requires='>=3.10,<3.13',
    # The OpenMMLab packages are installed by tools/install.sh: two sets of distributions serve the same import names
    # (docs/design.md).
    install_requires=[
        'jinja2>=3.1',
        'markupsafe',
        'matplotlib',
        'numpy',
        'onnx',
        'onnxruntime',
        'onnxscript',
        'pillow',
        'pymoo>=0.6.1.5',
        'rich',
        'scikit-learn>=1.5',
        'scipy>=1.15',
        'torch>=2.6',
    ],
    extras_require={
        # runtimes to measure and search for; 290 MB installed
        'targets': ['ncnn', 'openvino', 'pnnx'],
        'dev': [
            'furo',
            'hypothesis',
            'import-linter',
            'mypy',
            'myst-parser',
            'pre-commit',
            'pytest',
            'pytest-xdist',
            'ruff',
            'sphinx>=8',
            'tensorboard',
            'types-PyYAML',
        ],
    },
    zip_safe=False,
)
