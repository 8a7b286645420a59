#!/usr/bin/env bash
# On the machine with a GPU, in the last load's folder: bash there.sh [STAGE ...]
# The loads before it have brought their pieces of TensorFlow to $ROOT/parts (ROOT: the home folder).
# What it measures goes to $OUT/logs.tar, which is written anew after each stage, as few files can
# be brought back from $OUT; a stage that fails or takes too long does not end the others.
# For a rehearsal: TURNS=1, SLOWER=12 (times longer limits), SMALLER=", quick" (lesson 08 smaller).
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export ROOT=${ROOT:-$HOME} OUT=${OUT:-$PWD/out} LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}
logs=$ROOT/logs
mkdir -p "$OUT" "$logs" "$ROOT/parts" "$ROOT/project" "$ROOT/runs"
cp -n "$here"/tf.* "$ROOT/parts/"
[ -e "$ROOT/whl" ] || cp -r "$here/whl" "$ROOT/whl"
began=$(date +%s)
. "$here/setup.sh"
tar -C "$ROOT/project" -xJf "$here/project.tar.xz"
cd "$ROOT/project"
export DATA_DIR=$here OUTPUT_DIR=$ROOT/runs STANDIN=auto PYTHONPATH=$ROOT/project:$PYTHONPATH

stage() { # NAME SECONDS COMMAND...
  local name=$1 seconds=$2 start
  shift 2
  start=$(date +%s)
  timeout $((seconds * ${SLOWER:-1})) "$@" >"$logs/$name.log" 2>&1
  echo "$name: status $?, $(($(date +%s) - start)) s, $(($(date +%s) - began)) s in all" | tee -a "$OUT/times.log"
  tail -n 12 "$logs/$name.log"
  pack
}

pack() { tar -cf "$OUT/logs.tar" -C "$logs" .; }

check() { stage check 90 python3 "$here/check.py"; }
lesson() { # the whole page at `quick`
  stage lesson 240 env PRESET="${PRESET:-quick}" python3 -m tools.project run 02_dcgan
  cp "$OUTPUT_DIR"/02_dcgan/*/{metrics.json,history.csv,samples.png} "$logs/" 2>/dev/null
  pack
}
resume() { stage resume 150 python3 -m benchmarks.resume "${RESUME_STEPS:-100}"; }
steps() {
  for case in "lesson 02" "lesson 07, 128" "lesson 08${SMALLER:-}" "lesson 09, first stage" "lesson 09, second stage"; do
    stage "steps_${case//[ ,]/_}" 120 env PRECISION=bfloat16 python3 -m benchmarks.steps "$case" --part time ${TURNS:+--turns $TURNS}
  done
}
compiling() { # in both precisions
  for precision in float32 bfloat16; do
    stage "compiling_$precision" 200 env PRECISION=$precision \
      python3 -m benchmarks.compiling 02_dcgan 07_cyclegan 08_stargan 09_srgan ${TURNS:+--turns $TURNS}
  done
}
data() { stage data 120 python3 -m benchmarks.overhead 02_dcgan 09_srgan; }
tests() {
  stage tests 300 env PRESET=smoke PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 python3 -m pytest -q -x -p no:cacheprovider \
    tests/test_gan_step.py tests/test_layers.py tests/test_training.py tests/test_device.py
}

for name in "${@:-check lesson resume steps compiling data tests}"; do
  for one in $name; do $one; done
done
