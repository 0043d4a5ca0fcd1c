#!/usr/bin/env bash
# From nothing to a detector that starts from an ODM backbone, in minutes on two CPU cores:
# environment, pre-training, pictures of what was learned, export, a short DBNet fine-tune.
#
#   bash tools/quickstart.sh [RESULTS]        results go to RESULTS (default: work_dirs/quickstart)
#
# Run it again to do it afresh; the environment is set up once.
set -eu -o pipefail

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${ODM_VENV:-$ROOT/.venv}
case $VENV in /*) ;; *) VENV=$PWD/$VENV ;; esac
RESULTS=${1:-$ROOT/work_dirs/quickstart}
case $RESULTS in -*) echo "usage: bash tools/quickstart.sh [RESULTS]" >&2; exit 2 ;; esac
mkdir -p "$RESULTS"
RESULTS=$(cd -- "$RESULTS" && pwd)
if [ -n "$(ls -A "$RESULTS")" ] && [ ! -e "$RESULTS/.odm_quickstart" ]; then
  echo "quickstart.sh: $RESULTS holds other things; name a new folder for the results" >&2
  exit 1
fi
touch "$RESULTS/.odm_quickstart"
PYTHON=$VENV/bin/python
PRETRAIN=$ROOT/configs/odm_pretrain_quickstart.py
DETECTOR=$ROOT/configs/textdet/dbnet/dbnet_resnet18_odm_quickstart.py

# Keep the memory of one step for the next: glibc hands it back, and has it again page by page.
export MALLOC_TRIM_THRESHOLD_=8000000000 MALLOC_MMAP_THRESHOLD_=1000000000

TIMES=
step() { # step TITLE: note how long the last one took, announce the next
  if [ -n "${TITLE:-}" ]; then TIMES+=$(printf '\n  %4d s  %s' $((SECONDS - BEGAN)) "$TITLE"); fi
  TITLE=$1 BEGAN=$SECONDS
  if [ -n "$TITLE" ]; then printf '\n== %s\n' "$TITLE"; fi
}
logged() { # logged LOG PATTERN COMMAND...: all output to LOG, matching lines to the screen
  local log=$RESULTS/$1 pattern=$2
  shift 2
  if ! "$@" 2>&1 | tee "$log" | { grep --line-buffered -oE "$pattern" || true; }; then
    tail -n 15 "$log" >&2
    printf '\nquickstart.sh: "%s" failed; everything it said is in %s\n' "$TITLE" "$log" >&2
    exit 1
  fi
}

step 'environment'
bash "$ROOT/tools/setup_env.sh"
STARTED=$SECONDS
cd "$RESULTS"
rm -rf pretrain dbnet

step 'pre-training: ODM with a ResNet-18 learns to redraw prompted words'
logged pretrain.log 'Iter\(train\).*|Iter\(val\).*odm/control: [0-9.]+' "$PYTHON" "$ROOT/tools/train.py" "$PRETRAIN" --work-dir pretrain

step 'pictures and figures, before and after'
CHECKPOINT=$(cat pretrain/last_checkpoint)
FIGURES='^ +before +after|^odm/(kept|leak|hallucinated|control|fscore|iou) .*'
logged predictions.log "$FIGURES|.* drawn to .*" \
  "$PYTHON" "$ROOT/tools/show_predictions.py" "$PRETRAIN" none "$CHECKPOINT" \
  --titles before after --evaluate --num 8 --out quickstart.png

step 'export of the backbone'
logged export.log '.*tensors.*' "$PYTHON" "$ROOT/tools/export_backbone.py" "$CHECKPOINT" \
  --config "$PRETRAIN" --recalibrate 20 --out backbone_resnet18.pth

step 'DBNet from its stock MMOCR config, started from that backbone'
logged dbnet.log '.*tensors loaded.*|Iter\(.*' "$PYTHON" "$ROOT/tools/train.py" "$DETECTOR" \
  --work-dir dbnet --backbone backbone_resnet18.pth

step ''
printf '\n== done in %d min %02d s (environment not counted)%s\n' \
  $(((SECONDS - STARTED) / 60)) $(((SECONDS - STARTED) % 60)) "$TIMES"
grep -hoE "$FIGURES" predictions.log | sed 's/^/  /'
HMEAN=$(grep -oE 'icdar/hmean: [0-9.]+' dbnet.log | tail -n 1 || true)
cat <<END
  DBNet on held-out synthesized images: $HMEAN

  kept: ink of prompted words that is drawn; leak: ink of other words that is drawn;
  hallucinated: what is drawn outside all words; control: one score of the three, 0 to 1.
  All figures: $RESULTS/predictions.log, what they mean: docs/metrics.md

  $RESULTS/pretrain/*/vis_data/vis_image   the same images at each validation: watch them get sharp
  $RESULTS/quickstart.png         image, prompt, target, prediction before and after: look at it
  $RESULTS/backbone_resnet18.pth  the backbone, for any detector with a ResNet-18
  $RESULTS/pretrain, dbnet        checkpoints and logs

What to type next, after: source $VENV/bin/activate
  mim train odm_mmocr odm_pretrain_resnet18.py                  pre-train for real
  mim train odm_mmocr YOUR_DETECTOR.py --backbone $RESULTS/backbone_resnet18.pth
END
