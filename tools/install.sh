#!/usr/bin/env bash
# Installs hyctas_mm in editable form with its whole stack into a virtual environment.
#
#   bash tools/install.sh [--no-ops] [--dev] [--stack NAME] [VENV]      VENV defaults to $HYCTAS_VENV, then .venv
#
#   --no-ops       leave mmcv's compiled operators out: semantic segmentation works without them, mmdet (panoptic) does not
#   --dev          also what the tests and checks need
#   --stack NAME   onedl (default): the maintained distributions; upstream: OpenMMLab's last releases (docs/stacks.md). Each needs an environment
#                  of its own; for upstream VENV defaults to .venv-upstream
#   PYTHON         the interpreter to build the environment from (3.10 to 3.12; default python3)
#
# Safe to interrupt and run again; returns in seconds when everything is there. mmcv is built once per torch, Python and platform;
# its wheel is kept in ${XDG_CACHE_HOME:-~/.cache}/hyctas_mm/wheels.
set -euo pipefail

TORCH=2.13.0
PYMOO=0.6.2

root=$(cd "$(dirname "$0")/.." && pwd)
ops=1
dev=0
stack=onedl
venv=
while [ $# -gt 0 ]; do
    case "$1" in
        --no-ops) ops=0 ;;
        --dev) dev=1 ;;
        --stack) stack=${2:-}; [ $# -gt 1 ] && shift ;;
        -h | --help) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) echo "install.sh: unknown option $1 (known: --no-ops, --dev, --stack)" >&2; exit 2 ;;
        *) venv=$1 ;;
    esac
    shift
done
die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

# Two sets of distributions serve the import names mmengine, mmcv, mmseg, mmdet and mim.
case "$stack" in
    onedl)
        mmengine=onedl-mmengine==0.10.12 mmcv=onedl-mmcv MMCV=2.3.6 other=mmengine folder=.venv optimise=
        packages=(onedl-mmsegmentation==1.4.2 onedl-mmdetection==3.5.1 onedl-mim==0.5.1)
        ;;
    upstream)
        # mmseg imports ftfy and regex without requiring them; later versions of openxlab, which mim requires, want a setuptools that is too old for torch.
        # mmcv with -O1: its operators build in about 7 minutes of one core.
        mmengine=mmengine==0.10.7 mmcv=mmcv MMCV=2.1.0 other=onedl-mmengine folder=.venv-upstream optimise=-O1
        packages=(mmsegmentation==1.2.2 mmdet==3.3.0 openmim==0.3.9 openxlab==0.0.11 ftfy regex)
        ;;
    *) die "--stack '$stack'; expected onedl or upstream" ;;
esac
[ "$stack$ops" = upstream0 ] && die "--no-ops does not go with --stack upstream: mmsegmentation 1.2.2 imports mmcv's operators"
venv=${venv:-${HYCTAS_VENV:-$root/$folder}}
say() { printf '\033[1m== %s\033[0m\n' "$*"; }

# What is missing is named before anything is downloaded -----------------------------------------------------------------------
python=${PYTHON:-python3}
[ -x "$venv/bin/python" ] && python=$venv/bin/python
command -v "$python" >/dev/null || die "no Python interpreter '$python': install Python 3.10, 3.11 or 3.12, or set PYTHON=/path/to/python3"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
case "$version" in
    3.10 | 3.11 | 3.12) ;;
    *) die "$python is Python $version; 3.10, 3.11 or 3.12 is needed (set PYTHON=/path/to/python3.11)" ;;
esac
"$python" -c 'import venv, ensurepip' 2>/dev/null || die "$python has no venv module (Debian: apt-get install python3-venv)"

# The stamp names everything that decides what is installed: a changed pin or setup.py installs again.
stamp=$venv/.hyctas_mm-installed
sum=$( (cat "$root/setup.py" "$root/tools/install.sh"; echo "$root $stack") | sha1sum | cut -c1-16)
has() { [ -f "$stamp" ] && grep -qx "$1 $sum" "$stamp"; }
if has base && { [ $ops = 0 ] || has ops; } && { [ $dev = 0 ] || has dev; }; then
    echo "hyctas_mm is installed in $venv"
    exit 0
fi

if [ -x "$venv/bin/python" ] && "$venv/bin/python" -c "from importlib.metadata import version; version('$other')" 2>/dev/null; then
    die "$venv holds $other of the other stack, which serves the same import names as --stack $stack; name another environment"
fi

# The wheel of an earlier build spares the compiler; which wheel fits is known once torch is there, so any wheel with operators counts here.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hyctas_mm/wheels
if [ $ops = 1 ] && ! ls "$cache"/*-ops/${mmcv//-/_}-$MMCV-*.whl >/dev/null 2>&1; then
    command -v "${CXX:-g++}" >/dev/null || die "no C++ compiler '${CXX:-g++}', needed to build mmcv's operators (Debian: apt-get install g++; or run with --no-ops)"
    header=$("$python" -c 'import sysconfig, os; print(os.path.join(sysconfig.get_paths()["include"], "Python.h"))')
    [ -f "$header" ] || die "no $header, needed to build mmcv's operators (Debian: apt-get install python3-dev; or run with --no-ops)"
fi

# Environment and torch ---------------------------------------------------------------------------------------------------------
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then  # missing, or interrupted while it was made
    say "environment $venv (Python $version)"
    [ "$python" = "$venv/bin/python" ] && python=$(command -v "${PYTHON:-python3}")
    "$python" -m venv --clear "$venv"
fi
py=$(cd "$venv" && pwd)/bin/python
pip() { "$py" -m pip --disable-pip-version-check "$@"; }

say "build tools"
pip install -q 'setuptools>=70.1,<81' wheel ninja psutil
if ! "$py" -c 'import torch; v = tuple(map(int, torch.__version__.split("+")[0].split(".")[:2])); assert v >= (2, 6)' 2>/dev/null; then
    say "torch $TORCH"
    pip install -q "torch==$TORCH"
fi
torch=$("$py" -c 'import torch; print(torch.__version__)')

# A constraint keeps every later step from replacing the torch that is there.
constraints=$(mktemp)
trap 'rm -f "$constraints"' EXIT
printf 'torch==%s\nsetuptools>=70.1,<81\n' "$torch" >"$constraints"

say "OpenMMLab stack ($stack) and pymoo"
pip install -q -c "$constraints" "$mmengine" "pymoo==$PYMOO"

# mmcv: source only; built once, then taken from the cache ------------------------------------------------------------------------
key=$("$py" -c 'import sys, sysconfig, torch; print(f"torch{torch.__version__}-cp{sys.version_info[0]}{sys.version_info[1]}-{sysconfig.get_platform()}")')
[ $ops = 1 ] && key=$key-ops || key=$key-noops
wheels=$cache/$key
built() { ls "$wheels"/${mmcv//-/_}-$MMCV-*.whl 2>/dev/null | head -n 1; }
mmcv_ok() {
    if [ $ops = 1 ]; then "$py" -c "import mmcv, mmcv.ops; assert mmcv.__version__ == '$MMCV'"; else "$py" -c "import mmcv; assert mmcv.__version__ == '$MMCV'"; fi
}
if ! mmcv_ok 2>/dev/null; then
    if [ -z "$(built)" ]; then
        mkdir -p "$wheels"
        work=$(mktemp -d "$wheels/build.XXXX")
        job=
        set -m  # a process group of its own for the build, so that all of it can be stopped
        trap '[ -n "$job" ] && kill -- -$job 2>/dev/null; rm -rf "$constraints" "$work"' EXIT
        trap 'exit 130' INT TERM  # a job in the background does not see Ctrl-C itself
        if [ $ops = 1 ]; then
            say "mmcv $MMCV with compiled operators, $(nproc) jobs (about 8 minutes on two cores; log: $wheels/build.log)"
        else
            say "mmcv $MMCV without operators"
        fi
        # Without debug information the build is a third faster. No CUDA operators: nothing here needs them, and they would need nvcc.
        start=$SECONDS
        CUDA_VISIBLE_DEVICES='' MMCV_WITH_OPS=$ops CFLAGS="-g0 $optimise ${CFLAGS:-}" CXXFLAGS="-g0 $optimise ${CXXFLAGS:-}" MAX_JOBS=${MAX_JOBS:-$(nproc)} \
            "$py" -m pip --disable-pip-version-check wheel -v --no-deps --no-build-isolation --no-binary "$mmcv" -w "$work" "$mmcv==$MMCV" \
            >"$wheels/build.log" 2>&1 &
        job=$!
        while kill -0 $job 2>/dev/null; do
            # pip's build directory is private; ninja's own counter in the log tells how far it is.
            [ -t 1 ] && printf '\r   %4d s  %s   ' $((SECONDS - start)) "$(grep -o '^ *\[[0-9]*/[0-9]*\]' "$wheels/build.log" | tail -n 1)"
            sleep 2
        done
        [ -t 1 ] && echo
        set +m
        wait $job || { tail -n 25 "$wheels/build.log" >&2; die "building mmcv failed; the whole log is $wheels/build.log"; }
        mv "$work"/*.whl "$wheels/"
    fi
    say "mmcv $MMCV from $(built)"
    pip install -q -c "$constraints" --force-reinstall --no-deps "$(built)"
    pip install -q -c "$constraints" "$(built)"
fi
mmcv_ok || die "mmcv was installed but cannot be imported (see the error above)"

pip install -q -c "$constraints" "${packages[@]}"

say "hyctas_mm (editable)"
extras=; [ $dev = 1 ] && extras='[dev]'
pip install -q -c "$constraints" --no-build-isolation -e "$root$extras"
# yapf, by which mmengine prints configs, writes its grammar cache at first use; the ranks of a first distributed run would read each other's half.
"$py" -c 'import hyctas_mm, yapf.yapflib.yapf_api; hyctas_mm.register_all_modules()' || die "the installed package cannot be imported (see the error above)"

{ echo "base $sum"; [ $ops = 1 ] && echo "ops $sum"; [ $dev = 1 ] && echo "dev $sum"; true; } >"$stamp"
echo "hyctas_mm is installed in $venv"
