"""Source distribution, wheel and editable installation, and that mim finds in them what it looks for."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from mim.commands.run import run
from mim.commands.search import get_model_info

ROOT = Path(__file__).parents[1]
FILES = ('CHANGELOG.md', 'LICENSE', 'MANIFEST.in', 'README.md', 'model-index.yml', 'pyproject.toml', 'setup.py')
FOLDERS = ('configs', 'hyctas_mm', 'tools')
MIM_FILES = {'model-index.yml': ROOT / 'model-index.yml'} | {
    str(path.relative_to(ROOT)): path
    for folder in ('configs', 'tools')
    for path in (ROOT / folder).rglob('*')
    if path.is_file() and '__pycache__' not in path.parts
}
"""What mim's folder holds, and what is the original."""


def build(hook: str, project: Path, out: Path) -> Path:
    """What a build hook of setuptools makes of a project, as pip calls it."""
    command = f'from setuptools import build_meta; build_meta.{hook}({str(out)!r})'
    before = set(out.iterdir())
    subprocess.run([sys.executable, '-c', command], cwd=project, check=True, capture_output=True)
    (made,) = set(out.iterdir()) - before
    return made


@pytest.fixture(scope='module')
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, in which building may leave what it likes."""
    folder = tmp_path_factory.mktemp('checkout')
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns('__pycache__', '.mim'))
    for name in FILES:
        shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope='module')
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the source distribution, so all that it needs is in there."""
    out = tmp_path_factory.mktemp('dist')
    with tarfile.open(build('build_sdist', checkout, out)) as sdist:
        sdist.extractall(out / 'unpacked', filter='data')
    (project,) = (out / 'unpacked').iterdir()
    return build('build_wheel', project, tmp_path_factory.mktemp('wheel'))


@pytest.fixture(scope='module')
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed by pip, which sorts RECORD, by whose first line mim goes."""
    folder = tmp_path_factory.mktemp('site')
    install = [
        sys.executable,
        '-m',
        'pip',
        'install',
        '-q',
        '--no-deps',
        '--no-index',
        '--no-compile',
        '--target',
        str(folder),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    return folder


def test_wheel_holds_what_mim_looks_for(wheel: Path) -> None:
    """In the package, and beside the metadata, where mim looks."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = {name.split('/')[0] for name in names if name.endswith('.dist-info/METADATA')}
        for folder in ('hyctas_mm/.mim/', f'{metadata}/.mim/'):
            assert {name.removeprefix(folder) for name in names if name.startswith(folder)} == set(MIM_FILES)
            assert all(archive.read(folder + name) == path.read_bytes() for name, path in MIM_FILES.items())
    assert not [name for name in names if name.split('/')[0] not in ('hyctas_mm', metadata) or '__pycache__' in name]


def test_wheel_holds_all_of_the_package(wheel: Path) -> None:
    """What is read at run time too: the zoo, the report's templates, styles and script."""
    files = [
        path
        for path in (ROOT / 'hyctas_mm').rglob('*')
        if path.is_file() and not {'.mim', '__pycache__'} & set(path.parts)
    ]
    assert {'.css', '.j2', '.js', '.json'} <= {path.suffix for path in files}
    with zipfile.ZipFile(wheel) as archive:
        assert {str(path.relative_to(ROOT)) for path in files} <= set(archive.namelist())


def test_editable_installation_links_into_the_checkout(checkout: Path, tmp_path: Path) -> None:
    """Twice, as people install twice; git sees nothing of it."""
    for number in range(2):
        out = tmp_path / str(number)
        out.mkdir()
        with zipfile.ZipFile(build('build_editable', checkout, out)) as archive:
            assert not [name for name in archive.namelist() if '.mim' in name]
    links = {path.name: path for path in (checkout / 'hyctas_mm' / '.mim').iterdir()}
    assert links.keys() == {'configs', 'tools', 'model-index.yml'}
    assert all(link.is_symlink() and link.samefile(checkout / name) for name, link in links.items())
    assert {path.name for path in checkout.iterdir()} <= {*FILES, *FOLDERS, 'build', 'hyctas_mm.egg-info'}
    assert {'hyctas_mm/.mim', 'build/', '*.egg-info/'} <= set((ROOT / '.gitignore').read_text().split())


def test_mim_search_finds_the_models_of_a_wheel(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(site))
    models = get_model_info('hyctas_mm', to_dict=True, shown_fields=['config'])
    assert {found['config'] for found in models.values()} == {name for name in MIM_FILES if is_config(name)}


@pytest.mark.slow
def test_mim_run_reads_configs_of_a_wheel(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A config that is no search is read, and refused by the tool: mim found it, and it the package and the config's
    parents.
    """
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv('PYTHONPATH', str(site))
    monkeypatch.chdir(tmp_path)
    config = site / 'hyctas_mm' / '.mim' / 'configs' / 'quickstart' / 'toy_streets_subnet.py'
    with pytest.raises(subprocess.CalledProcessError):
        run('hyctas_mm', 'search', other_args=(str(config),))
    printed = capfd.readouterr()
    assert f'Use the script {site}' in printed.out
    assert 'toy_streets_subnet.py is not a search config' in printed.err


def is_config(name: str) -> bool:
    return (
        name.startswith('configs/')
        and name.endswith('.py')
        and '/_base_/' not in name
        and not name.endswith('_runtime.py')
    )
