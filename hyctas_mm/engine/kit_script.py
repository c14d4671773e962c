"""``run.sh`` of a kit: measures where there is a shell and the runtime's own benchmark program, and no Python."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hyctas_mm.costs.targets import Target, on_device

_BENCHNCNN = """\
tool=benchncnn  # of ncnn's build; computes with the random weights and the floats (fp16 where there is) of its own
one() {{
    benchncnn 10 {threads} 0 -1 0 "param=$2" "shape=[{width},{height},3]" 2>&1 |
        sed -n 's/.* avg = *\\([0-9.]*\\).*/\\1/p'
}}"""
_TRTEXEC = """\
tool=trtexec
one() {{
    if [ ! -f "$1.engine" ]; then trtexec --onnx="$2"{flags} --saveEngine="$1.engine" >"$1.log" 2>&1 || return; fi
    trtexec --loadEngine="$1.engine" 2>&1 | sed -n 's/.*GPU Compute Time:.* median = *\\([0-9.]*\\) ms.*/\\1/p'
}}"""
_TOOLS = dict(ncnn=_BENCHNCNN, tensorrt=_TRTEXEC)
_FLAGS = dict(fp32='', fp16=' --fp16', int8=' --int8 --fp16')
_SCRIPT = """\
#!/bin/sh
# Measures the networks beside this file in rounds that visit all in turn, and writes measured.json.
# Started again after an interruption, it goes on. ROUNDS=3 sh run.sh for more rounds than 2.
cd "$(dirname "$0")" || exit 1
networks='{networks}'
{tool}
command -v $tool >/dev/null || {{ echo "error: no $tool on PATH" >&2; exit 2; }}
rounds=${{ROUNDS:-2}}
touch measured.txt
round=1
while [ "$round" -le "$rounds" ]; do
    for pair in $networks; do
        name=${{pair%%=*}} file=${{pair#*=}}
        [ "$(grep -c "^$name " measured.txt)" -ge "$round" ] && continue
        ms=$(one "$name" "$file" | head -n 1)
        [ -n "$ms" ] || {{ echo "error: $tool gave no time for $file" >&2; exit 1; }}
        echo "$name $ms" >>measured.txt
    done
    echo "round $round of $rounds"
    round=$((round + 1))
done
device=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -n 1 | tr -d '"\\\\')
[ "$tool" = trtexec ] && device=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
{{
    printf '%s' '{head}'
    printf '"device": "%s", "rounds_ms": {{' "${{device:-$(uname -m)}}"
    awk '{{ times[$1] = times[$1] (times[$1] == "" ? "" : ", ") $2 }}
        END {{ for (name in times) {{ printf "%s\\"%s\\": [%s]", comma, name, times[name]; comma = ", " }} }}' \\
        measured.txt
    printf '}}}}\\n'
}} >measured.json
echo "measured.json: $(echo "$networks" | wc -w) networks"
"""


def script_of(kit: Mapping[str, Any]) -> str | None:
    """The script, or None where the runtime has no such program.

    Args:
        kit: Content of ``kit.json``.
    """
    target = Target.read(kit['target'])
    if target.runtime not in _TOOLS:
        return None
    _, _, height, width = kit['input_shape']
    tool = _TOOLS[target.runtime].format(
        threads=target.threads, height=height, width=width, flags=_FLAGS[target.precision]
    )
    head = dict(format=on_device.FORMAT, kit=kit['identity'], target=kit['target'], clock='wall')
    text = json.dumps(head | dict(software={'run.sh': target.runtime}))
    networks = '\n'.join(f'{name}={file}' for name, file in kit['files'].items())
    return _SCRIPT.format(networks=networks, tool=tool, head=text[:-1] + ', ')
