#!/usr/bin/env bash
# Installs what is missing, then runs the whole way on two CPU cores in minutes: data, supernet, search, retraining, ONNX, report.
#
#   bash tools/quickstart.sh                                             on streets it draws itself
#   bash tools/quickstart.sh --data idd_lite --data-root DIR             on real images (also: camvid)
#   bash tools/quickstart.sh --device cuda                               on a GPU
#
# Run again after an interruption, it continues. HYCTAS_VENV names the environment (default .venv).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
venv=${HYCTAS_VENV:-$root/.venv}
bash "$root/tools/install.sh" "$venv"
exec "$venv/bin/python" "$root/tools/quickstart.py" "$@"
