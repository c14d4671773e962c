#!/usr/bin/env bash
# Everything that must hold: linters, types, import contracts, tests. Installs what is missing.
#
#   bash tools/test.sh [PYTEST ARGUMENTS]
#
# HYCTAS_VENV names the environment (default .venv). HYCTAS_DATA, a folder that holds idd_lite/ and camvid/, adds the tests on real images.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${HYCTAS_VENV:-.venv}
bash tools/install.sh --dev "$venv"
export PATH="$(cd "$venv/bin" && pwd):$PATH" OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
ruff check .
mypy
lint-imports
exec python -m pytest "$@"
