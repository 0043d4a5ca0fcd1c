#!/usr/bin/env bash
# Makes a Python environment in which odm_mmocr, MMOCR and mmcv with its operators work, and checks it.
#
#   bash tools/setup_env.sh
#
# ODM_VENV      folder of the environment       (default: .venv in this repository)
# PYTHON        interpreter to make it with     (default: the first of python3.11, 3.12, 3.10 found)
# ODM_CACHE     folder for built wheels         (default: ${XDG_CACHE_HOME:-~/.cache}/odm_mmocr)
# MAX_JOBS      compilers that run at once      (default: by cores and memory)
# ODM_CUDA_OPS  0: never build CUDA operators   (default: where nvcc and a GPU are there)
#
# It can be run again at any time: what is done is not done again, what was broken off is continued.
set -u -o pipefail

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${ODM_VENV:-$ROOT/.venv}
case $VENV in /*) ;; *) VENV=$PWD/$VENV ;; esac
CACHE=${ODM_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/odm_mmocr}
REQUIREMENTS=$ROOT/requirements
CONSTRAINTS=$REQUIREMENTS/constraints.txt
STAMP=$VENV/.odm_mmocr-stamp
LOG=$VENV/setup_env.log
VENV_GIB=7       # measured: 6.5 GiB
TEMPORARY_GIB=4  # the largest wheels while they are unpacked; objects of mmcv

unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX
export PYTHONNOUSERSITE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
STARTED=$SECONDS
RUNNING=
TEMPORARY=

say() { printf '%s\n' "$*"; }
fail() {
  say "setup_env.sh: $*" >&2
  exit 1
}
duration() { printf '%d min %02d s' $(($1 / 60)) $(($1 % 60)); }
clean_up() {
  [ -z "$RUNNING" ] || kill -- "-$RUNNING" 2>/dev/null || kill "$RUNNING" 2>/dev/null
  [ -z "$TEMPORARY" ] || rm -rf -- "$TEMPORARY"
}
trap clean_up EXIT
trap 'say; fail "interrupted; run it again to go on"' INT TERM

# The reason of a failed command, out of what it wrote, in one line that says what to do.
reason() {
  local recent unreachable
  unreachable="the package registry cannot be reached: check the network, the proxy and 'pip config list', then run it again"
  recent=$(tail -n 400 "$LOG" 2>/dev/null)
  if grep -qiE 'no space left on device|disk quota exceeded' <<<"$recent"; then
    say "the disk is full: free $VENV_GIB GiB for $VENV and $TEMPORARY_GIB GiB for ${TMPDIR:-/tmp}, then run it again"
  elif grep -qE 'name resolution|Name or service not known|NewConnectionError|Failed to establish|ConnectTimeout|Max retries exceeded|Connection refused|Network is unreachable|ProxyError|SSLError|from versions: none' <<<"$recent"; then
    say "$unreachable"
  elif grep -qE 'Could not find a version|No matching distribution|ResolutionImpossible' <<<"$recent"; then
    # The same message for a registry that is silent and for one that lacks a version: ask it for
    # something that every registry has.
    if "$VENV/bin/python" -m pip download -q --no-cache-dir --no-deps -d "$VENV/.probe" wheel >>"$LOG" 2>&1; then
      say "the package registry lacks a pinned version for this Python and platform: take Python 3.11 on x86-64 Linux (PYTHON=python3.11), or see the end of $LOG"
    else
      say "$unreachable"
    fi
    rm -rf -- "$VENV/.probe"
  elif grep -qE 'Killed|out of memory|cannot allocate memory' <<<"$recent"; then
    say "memory ran out while compiling: set MAX_JOBS=1 and run it again"
  elif grep -q 'Python.h: No such file' <<<"$recent"; then
    say "the headers of Python are missing: install python$VERSION-dev (Debian, Ubuntu), or set PYTHON to another Python"
  elif grep -qE 'ReadTimeout|Read timed out|IncompleteRead|THESE PACKAGES DO NOT MATCH THE HASHES' <<<"$recent"; then
    say 'a download broke off: run it again'
  else
    say "see the end of $LOG, mend what it says and run it again"
  fi
}

# run WHAT COMMAND...: runs the command quietly into the log, shows that it lives, returns its status.
run() {
  local what=$1 begun=$SECONDS shown=$SECONDS every=30 state
  shift
  [ -t 1 ] && every=2
  printf '\n=== %s: %s\n' "$what" "$*" >>"$LOG"
  local mark
  mark=$(wc -c <"$LOG")
  set -m
  "$@" >>"$LOG" 2>&1 </dev/null &
  RUNNING=$!
  set +m
  while kill -0 "$RUNNING" 2>/dev/null; do
    sleep 1
    if ((SECONDS - shown >= every)); then
      shown=$SECONDS
      # ninja counts the files it compiles; pip names what it is fetching.
      state=$(tail -c +"$((mark + 1))" "$LOG" | tr '\r' '\n' | grep -oE '^ *\[[0-9]+/[0-9]+\]|^ *(Collecting|Downloading|Installing|Building) [^ ]+' | tail -n 1 |
        sed -E 's/^ +//; s#^(Downloading) .*/#\1 #; s/^Installing collected/installing/')
      if [ -t 1 ]; then
        printf '\r\033[K      %s  %s' "$(duration $((SECONDS - begun)))" "$state"
      else
        say "      $(duration $((SECONDS - begun)))  $state"
      fi
    fi
  done
  [ -t 1 ] && printf '\r\033[K'
  wait "$RUNNING"
  local status=$?
  RUNNING=
  return $status
}

step() {
  STEP=$((${STEP:-0} + 1))
  say "[$STEP/6] $*"
  STEP_STARTED=$SECONDS
}
done_in() { say "      done in $(duration $((SECONDS - STEP_STARTED)))"; }

pip_install() { "$VENV/bin/python" -m pip install --progress-bar off -c "$CONSTRAINTS" "$@"; }
pin_of() { sed -n "s/^$1==//p" "$CONSTRAINTS"; }

# What the environment is made from; another answer means that there is something to do.
fingerprint() {
  {
    say "$ROOT"
    "$VENV/bin/python" -c 'import platform, sys; print(sys.version, sys.prefix, platform.machine())'
    say "${ODM_CUDA_OPS:-} $(command -v nvcc)"
    cat "$REQUIREMENTS"/*.txt "$ROOT/setup.py" "$ROOT/odm_mmocr/version.py" "$ROOT/tools/setup_env.sh"
  } | "$VENV/bin/python" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'
}

# Whether what matters most is still installed at its pinned version, and this package from here;
# nothing is imported for it.
pins_hold() {
  "$VENV/bin/python" -I - "$CONSTRAINTS" "$ROOT/odm_mmocr" <<'PYTHON'
import os
import sys
from importlib import metadata

pins = dict(line.split('==') for line in open(sys.argv[1]).read().split() if '==' in line)
names = 'torch torchvision numpy opencv-python setuptools mmengine mmcv mmdet mmocr openmim'.split()
try:
    package = os.path.realpath(metadata.distribution('odm_mmocr').locate_file('odm_mmocr'))
    if package != os.path.realpath(sys.argv[2]):
        sys.exit(1)
    sys.exit(any(metadata.version(name) != pins[name] for name in names))
except metadata.PackageNotFoundError:
    sys.exit(1)
PYTHON
}

# ---------------------------------------------------------------------------------------------------
# Nothing to do?
if [ -x "$VENV/bin/python" ] && [ -f "$STAMP" ] && [ -e "$ROOT/odm_mmocr/.mim/tools" ] &&
  [ "$(fingerprint 2>/dev/null)" = "$(cat "$STAMP")" ] && pins_hold 2>/dev/null; then
  say "environment: $VENV is up to date (checked in $((SECONDS - STARTED)) s)"
  exit 0
fi

# ---------------------------------------------------------------------------------------------------
# The interpreter. A name may be found and still not run (pyenv leaves such shims), so each is tried.
describe() {
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2], sys.maxsize > 2**32)' 2>/dev/null
}
suits() {
  case $(describe "$1") in "3.10 True" | "3.11 True" | "3.12 True") return 0 ;; *) return 1 ;; esac
}
find_python() {
  local candidate
  for candidate in python3.11 python3.12 python3.10 python3 python \
    "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.11.*/bin/python \
    "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.12.*/bin/python \
    "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.10.*/bin/python; do
    candidate=$(command -v -- "$candidate" 2>/dev/null) || continue
    if suits "$candidate" && "$candidate" -c 'import venv, ensurepip' 2>/dev/null; then
      say "$candidate"
      return 0
    fi
  done
  # None has everything: name one that at least has the right version, for the message.
  for candidate in python3.11 python3.12 python3.10 python3; do
    suits "$candidate" 2>/dev/null && command -v "$candidate" && return 0
  done
  return 1
}

# gib_free FOLDER: free GiB where the folder is, or will be.
gib_free() {
  local folder=$1
  while [ ! -e "$folder" ]; do folder=$(dirname -- "$folder"); done
  df -Pk -- "$folder" | awk 'NR == 2 {print int($4 / 1048576)}'
}
disk_of() {
  local folder=$1
  while [ ! -e "$folder" ]; do folder=$(dirname -- "$folder"); done
  df -Pk -- "$folder" | awk 'NR == 2 {print $6}'
}
need_disk() { # need_disk FOLDER GIB
  local free
  free=$(gib_free "$1")
  [ "${free:-0}" -ge "$2" ] || fail "too little disk: $1 has $free GiB free and $2 GiB are needed; free some, or set $3 to a folder on a larger disk"
}

step "Python"
if [ -x "$VENV/bin/python" ] && suits "$VENV/bin/python"; then
  [ -z "${PYTHON:-}" ] || [ "$(describe "$PYTHON")" = "$(describe "$VENV/bin/python")" ] ||
    fail "$VENV is made with another Python than PYTHON=$PYTHON: remove that folder, or set ODM_VENV to another one"
  say "      going on with $VENV"
else
  [ ! -e "$VENV" ] || [ -z "$(ls -A "$VENV")" ] || [ -e "$VENV/pyvenv.cfg" ] ||
    fail "$VENV exists and is no Python environment: move it away, or set ODM_VENV to another folder"
  if [ -n "${PYTHON:-}" ]; then
    command -v -- "$PYTHON" >/dev/null || fail "PYTHON=$PYTHON does not exist: set it to a Python 3.10, 3.11 or 3.12"
    suits "$PYTHON" || fail "PYTHON=$PYTHON is not a 64-bit Python 3.10, 3.11 or 3.12 (it is $("$PYTHON" -V 2>&1 | tail -n 1)): set it to one"
  else
    PYTHON=$(find_python) ||
      fail "no Python 3.10, 3.11 or 3.12 is found: install one (Debian, Ubuntu: apt install python3.11 python3.11-venv python3.11-dev), or set PYTHON to it"
  fi
  PYTHON=$(command -v -- "$PYTHON")
  VERSION=$(describe "$PYTHON" | cut -d' ' -f1)
  "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "$PYTHON has no venv module: install python$VERSION-venv (Debian, Ubuntu), or set PYTHON to another Python 3.10 to 3.12"
  need_disk "$VENV" "$VENV_GIB" ODM_VENV
  mkdir -p -- "$VENV" 2>/dev/null || fail "$VENV cannot be written: set ODM_VENV to a folder that can"
  "$PYTHON" -m venv --clear -- "$VENV" >/dev/null 2>&1 ||
    fail "$PYTHON -m venv $VENV does not work: set PYTHON to another Python 3.10 to 3.12, or ODM_VENV to another folder"
fi
VERSION=$(describe "$VENV/bin/python" | cut -d' ' -f1)
if command -v flock >/dev/null && exec 9>"$VENV/.lock" && ! flock -n 9; then
  say "      another setup_env.sh works on $VENV: waiting for it"
  flock 9
fi
rm -f -- "$STAMP"
find "$CACHE" -maxdepth 1 -name '.building.*' -mmin +600 -exec rm -rf -- {} + 2>/dev/null # of killed runs
: >"$LOG" || fail "$VENV cannot be written: set ODM_VENV to a folder that can"
"$VENV/bin/python" -m pip --version >>"$LOG" 2>&1 || fail "$VENV has no pip: remove that folder and run it again"
mkdir -p -- "$CACHE" 2>/dev/null && [ -w "$CACHE" ] || fail "$CACHE cannot be written: set ODM_CACHE to a folder that can"
say "      Python $("$VENV/bin/python" -c 'import platform; print(platform.python_version())') in $VENV"

# What the compilation will need is looked for before gigabytes are downloaded for it.
COMPILER=${CXX:-}
if [ -z "$COMPILER" ]; then
  for COMPILER in g++ c++ clang++ ''; do
    [ -n "$COMPILER" ] && command -v "$COMPILER" >/dev/null && break
  done
fi
cached_for_this_python() { compgen -G "$CACHE/mmcv-$(pin_of mmcv)-torch$(pin_of torch)*-py$VERSION-*/mmcv-*.whl" >/dev/null; }
mmcv_installed() { [ "$("$VENV/bin/python" -c 'from importlib import metadata; print(metadata.version("mmcv"))' 2>/dev/null)" = "$(pin_of mmcv)" ]; }
if ! cached_for_this_python && ! mmcv_installed; then
  compiler_hint='install one (Debian, Ubuntu: apt install g++), or set CXX to it'
  [ -n "$COMPILER" ] || fail "no C++ compiler is found: $compiler_hint"
  # CXX may hold arguments beside the name, hence no quotes.
  printf '#include <optional>\nstd::optional<int> one = 1;\n' |
    $COMPILER -std=c++17 -x c++ -fsyntax-only - >>"$LOG" 2>&1 ||
    fail "the C++ compiler '$COMPILER' does not compile C++17: $compiler_hint"
  [ -f "$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] ||
    fail "the headers of Python are missing: install python$VERSION-dev (Debian, Ubuntu), or set PYTHON to another Python"
fi
if ! "$VENV/bin/python" -c 'import importlib.metadata as m; m.version("torch")' 2>/dev/null; then
  temporary_folder=${TMPDIR:-/tmp}
  if [ "$(disk_of "$VENV")" = "$(disk_of "$temporary_folder")" ]; then
    need_disk "$VENV" $((VENV_GIB + TEMPORARY_GIB)) ODM_VENV
  else
    need_disk "$VENV" "$VENV_GIB" ODM_VENV
    need_disk "$temporary_folder" "$TEMPORARY_GIB" TMPDIR
  fi
fi

# ---------------------------------------------------------------------------------------------------
step "torch $(pin_of torch) and what mmcv is compiled with (about 3 GB to download)"
run torch pip_install -r "$REQUIREMENTS/build.txt" || fail "$(reason)"
done_in

step "mmengine, mmdet, MMOCR, mim, tests and the extras"
run packages pip_install -r "$REQUIREMENTS/openmmlab.txt" -r "$REQUIREMENTS/runtime.txt" \
  -r "$REQUIREMENTS/ppocr.txt" -r "$REQUIREMENTS/craft.txt" -r "$REQUIREMENTS/synthesis.txt" \
  -r "$REQUIREMENTS/pseudo.txt" -r "$REQUIREMENTS/ray.txt" -r "$REQUIREMENTS/demo.txt" \
  -r "$REQUIREMENTS/tests.txt" || fail "$(reason)"
run mim pip_install --no-deps -r "$REQUIREMENTS/mim.txt" || fail "$(reason)"
# rapidocr brings a second OpenCV, of the same version but without windows: the one with them stays.
run opencv pip_install --no-deps --force-reinstall opencv-python || fail "$(reason)"
done_in

# ---------------------------------------------------------------------------------------------------
# mmcv with its operators. A wheel fits one torch, Python, device and C library, so all are in its key.
build_wheel() { # build_wheel KEY cpu|cuda ARCHITECTURES
  [ -z "$TEMPORARY" ] || rm -rf -- "$TEMPORARY" # of a build that failed
  TEMPORARY=$(mktemp -d "$CACHE/.building.XXXXXX") || fail "$CACHE cannot be written: set ODM_CACHE to a folder that can"
  # mmcv asks for C++14 and torch needs C++17; the last flag given counts. Without -g0 the default
  # flags of many Pythons add debug information, which takes time and space.
  printf '#!/bin/sh\nexec %s "$@" -std=c++17 -g0\n' "$COMPILER" >"$TEMPORARY/c++17"
  chmod +x "$TEMPORARY/c++17"
  local jobs=${MAX_JOBS:-} memory
  if [ -z "$jobs" ]; then
    jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
    memory=$(awk '/^MemAvailable/ {print int($2 / 1572864)}' /proc/meminfo 2>/dev/null)
    [ -z "$memory" ] || [ "$memory" -ge "$jobs" ] || jobs=$((memory > 0 ? memory : 1))
  fi
  local settings=(TMPDIR="$TEMPORARY" CXX="$TEMPORARY/c++17" MMCV_WITH_OPS=1 MAX_JOBS="$jobs" FORCE_MLU=0 FORCE_NPU=0 FORCE_MPS=0 MMCV_WITH_DIOPI=0 PATH="$VENV/bin:$PATH")
  if [ "$2" = cuda ]; then
    settings+=(FORCE_CUDA=1 TORCH_CUDA_ARCH_LIST="$3")
  else
    settings+=(FORCE_CUDA=0 CUDA_VISIBLE_DEVICES=)
  fi
  run "mmcv source" env "${settings[@]}" "$VENV/bin/python" -m pip download --progress-bar off --no-deps --no-build-isolation \
    --no-binary mmcv -d "$TEMPORARY" "mmcv==$(pin_of mmcv)" || return 1
  run "mmcv wheel ($2)" env "${settings[@]}" "$VENV/bin/python" -m pip wheel -v --no-cache-dir --no-deps --no-build-isolation \
    -w "$TEMPORARY/wheel" "$TEMPORARY"/mmcv-*.tar.gz || return 1
  # Without torch in sight, or with a device it does not know, mmcv leaves the operators out silently.
  # (grep reads to the end: one that stops at the first line breaks the pipe.)
  "$VENV/bin/python" -m zipfile -l "$TEMPORARY"/wheel/mmcv-*.whl 2>>"$LOG" | grep 'mmcv/_ext\.' >/dev/null || {
    say 'mmcv left its operators out of the wheel' >>"$LOG"
    return 1
  }
  rm -rf -- "${CACHE:?}/$1"
  mv -T -- "$TEMPORARY/wheel" "$CACHE/$1" 2>>"$LOG" || mv -- "$TEMPORARY/wheel" "$CACHE/$1" || return 1
  rm -rf -- "$TEMPORARY"
  TEMPORARY=
}
operators_work() {
  "$VENV/bin/python" - >>"$LOG" 2>&1 <<'PYTHON'
import torch
from mmcv.ops import nms

boxes, scores = torch.tensor([[0.0, 0, 9, 9], [0, 0, 8, 9]]), torch.tensor([0.9, 0.8])
assert nms(boxes, scores, 0.5)[1].tolist() == [0]
PYTHON
}
# install_mmcv KEY DEVICE ARCHITECTURES: from the cache, else built; a cached wheel that does not work
# here is built anew once.
install_mmcv() {
  local origin attempt
  if [ "$(cat "$VENV/.mmcv-wheel" 2>/dev/null)" = "$1" ] && mmcv_installed && operators_work; then
    say "      mmcv $(pin_of mmcv) with $2 operators is there already"
    return 0
  fi
  for attempt in first second; do
    origin='from the cache'
    if ! compgen -G "$CACHE/$1/mmcv-*.whl" >/dev/null; then
      say "      compiling the operators ($2), which takes minutes$([ "$2" = cpu ] || say '; ODM_CUDA_OPS=0 does without those for CUDA')"
      build_wheel "$1" "$2" "$3" || return 1
      origin="built and kept in $CACHE"
    fi
    run "mmcv install" "$VENV/bin/python" -m pip install --no-deps --force-reinstall "$CACHE/$1"/mmcv-*.whl || return 1
    if operators_work; then
      say "$1" >"$VENV/.mmcv-wheel"
      say "      mmcv $(pin_of mmcv) with $2 operators, $origin"
      return 0
    fi
    rm -rf -- "${CACHE:?}/$1"
    [ "$origin" = "from the cache" ] && [ "$attempt" = first ] || return 1
  done
  return 1
}

step "mmcv $(pin_of mmcv) with its operators"
common=$("$VENV/bin/python" -c 'import platform, torch; print("torch%s-py%s-%%s-%s-%s-%s" % (torch.__version__, platform.python_version().rpartition(".")[0], platform.system(), platform.machine(), "".join(platform.libc_ver()) or "libc"))' 2>>"$LOG") || fail "torch was installed and cannot be imported: $(reason)"
common=mmcv-$(pin_of mmcv)-$common
architecture=
if [ "${ODM_CUDA_OPS:-1}" != 0 ] && command -v nvcc >/dev/null; then
  architecture=$("$VENV/bin/python" -c 'import torch; print("%d.%d" % torch.cuda.get_device_capability() if torch.cuda.is_available() else "")' 2>/dev/null)
fi
NOTE=
installed=
if [ -n "$architecture" ]; then
  # shellcheck disable=SC2059  # the key is a format on purpose
  key=$(printf "$common" "cuda$architecture")
  if [ -e "$CACHE/$key.failed" ]; then
    NOTE="the CUDA operators of mmcv did not compile here before (remove $CACHE/$key.failed to try again)"
  elif install_mmcv "$key" cuda "$architecture"; then
    installed=cuda
  else
    cp -- "$LOG" "$CACHE/$key.failed" 2>/dev/null
    NOTE="the CUDA operators of mmcv do not compile with this nvcc and torch (log: $CACHE/$key.failed)"
    say "      $NOTE"
  fi
fi
if [ -z "$installed" ]; then
  # shellcheck disable=SC2059
  key=$(printf "$common" cpu)
  install_mmcv "$key" cpu '' || fail "mmcv could not be built: $(reason)"
  installed=cpu
fi
done_in

# ---------------------------------------------------------------------------------------------------
step "odm_mmocr from $ROOT, as a development install"
# Not `pip install -e`: mim looks for the package beside its metadata, which only this way keeps there.
develop() {
  "$VENV/bin/python" -m pip uninstall -q -y odm_mmocr # of another clone, or from a wheel
  cd -- "$ROOT" && PYTHONWARNINGS=ignore "$VENV/bin/python" setup.py -q develop --no-deps
}
run "development install" develop || fail "$(reason)"
done_in

step "check"
cat >"$VENV/check_odm_mmocr.py" <<'PYTHON'
import os
import sys

import mmcv
import mmcv.ops
import mmdet
import mmengine
import mmocr
import numpy
import torch

import odm_mmocr

here = os.path.dirname(os.path.realpath(odm_mmocr.__file__))
if here != os.path.realpath(os.path.join(sys.argv[1], 'odm_mmocr')):
    sys.exit(f'odm_mmocr is imported from {here}')
print(
    f'torch {torch.__version__}, mmengine {mmengine.__version__}, mmcv {mmcv.__version__}, '
    f'mmdet {mmdet.__version__}, mmocr {mmocr.__version__}, numpy {numpy.__version__}, '
    f'odm_mmocr {odm_mmocr.__version__}; '
    + ('a GPU is there' if torch.cuda.is_available() else 'no GPU, training runs on the CPU')
)
PYTHON
(cd / && "$VENV/bin/python" -W ignore "$VENV/check_odm_mmocr.py" "$ROOT") >"$VENV/check.out" 2>>"$LOG" ||
  fail "what was installed cannot be imported ($(grep -E '^[A-Za-z.]*(Error|Exception)|imported from' "$LOG" | tail -n 1)): remove $VENV and run it again; details at the end of $LOG"
say "      $(tail -n 1 "$VENV/check.out")"
rm -f -- "$VENV/check.out" "$VENV/check_odm_mmocr.py"
fingerprint >"$STAMP.new" && mv -- "$STAMP.new" "$STAMP"

say "environment: $VENV is ready after $(duration $((SECONDS - STARTED)))"
[ -z "$NOTE" ] || say "note: $NOTE; those for the CPU are installed, which is enough for pre-training"
say "activate it with: source $VENV/bin/activate"
