#!/usr/bin/env bash
# Everything that a GPU has to show, in under eight minutes: first that it computes what the
# processor does, then how fast, beside the measured peaks. Writes benchmarks/results/gpu.md.
#   benchmarks/gpu.sh [PYTHON]
# Without a GPU it goes the same way on the processor, with small numbers, and says so.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python}
if "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
  device=cuda output=benchmarks/results/gpu.md
else
  device=cpu output=${TMPDIR:-/tmp}/gpu-on-cpu.md
  echo "no GPU: on the processor, reduced, into $output"
fi
LOSSPRINT_TEST_DEVICE=$device "$python" -m pytest -q -m gpu tests/test_gpu.py
"$python" benchmarks/gpu.py --device "$device" --output "$output"
