#!/usr/bin/env bash
# Everything that must hold: linters, types, import contracts, tests. Installs what is missing.
#
#   bash tools/test.sh [--quick] [PYTEST ARGUMENTS]
#
# Tests run in two processes of one thread each; -n 8 takes more, -n 0 one. --quick leaves out what trains, searches, compiles or opens a browser
# (the marker "slow"). HYCTAS_VENV names the environment (default .venv). HYCTAS_DATA, a folder that holds idd_lite/ and camvid/, adds the tests on
# real images.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${HYCTAS_VENV:-.venv}
chosen=()
if [ "${1:-}" = --quick ]; then
    chosen=(-m 'not slow')
    shift
fi
bash tools/install.sh --dev "$venv"
export PATH="$(cd "$venv/bin" && pwd):$PATH" OMP_NUM_THREADS=1
ruff check .
mypy
lint-imports
exec python -m pytest -n 2 --dist worksteal "${chosen[@]}" "$@"
