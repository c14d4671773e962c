#!/usr/bin/env bash
# The core of the tests on OpenMMLab's last upstream releases (docs/stacks.md), in an environment of their own. Installs what is missing.
#
#   bash tools/test_upstream.sh [VENV [PYTEST ARGUMENTS]]      VENV defaults to .venv-upstream
#
# HYCTAS_DATA, a folder that holds idd_lite/ and camvid/, adds the tests on real images.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv-upstream}
[ $# -gt 0 ] && shift
bash tools/install.sh --stack upstream --dev "$venv"
export PATH="$(cd "$venv/bin" && pwd):$PATH" OMP_NUM_THREADS=1
python -c 'import mmcv, mmdet, mmengine, mmseg; print(*(f"{m.__name__} {m.__version__} " for m in (mmengine, mmcv, mmseg, mmdet)))'

# The core is all that OpenMMLab's packages take part in:
not_core=(
    --ignore=tests/test_docs                    # site, notebook and messages, whose text is that of the default stack
    --ignore=tests/test_report/test_browser.py  # the page in a browser
)
exec python -m pytest -n 2 --dist worksteal "${not_core[@]}" "$@"
