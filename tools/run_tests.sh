#!/usr/bin/env bash
# Sets up the environment and runs the test suite in it.
#
#   bash tools/run_tests.sh                          everything
#   bash tools/run_tests.sh -m 'not slow'            any arguments of pytest
#   bash tools/run_tests.sh tests/rendering -x
set -eu -o pipefail

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${ODM_VENV:-$ROOT/.venv}
case $VENV in /*) ;; *) VENV=$PWD/$VENV ;; esac

bash "$ROOT/tools/setup_env.sh"
cd "$ROOT"
# More threads than cores make the many small operations of the tests slower, not faster.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" MPLBACKEND=Agg
exec "$VENV/bin/python" -m pytest --durations=15 "$@"
