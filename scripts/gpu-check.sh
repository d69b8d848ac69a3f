#!/usr/bin/env bash
# Everything that only a GPU can show, within nine minutes: each operation and whole training steps against the processor, resume
# exactness, eight rows learnt by heart, and the speed of answers and LoRA steps of published shapes (random weights).
# Ends with a table and a JSON file. Without a GPU it says so, does nothing else, and ends with 0.
#
#   scripts/gpu-check.sh [--bin PROGRAM] [--out FOLDER] [--part parity|training|decode|bench]… [--shape NAME]… [--minutes M]
#                        [--device cuda[:N]] [--python PYTHON]
#   scripts/gpu-check.sh --pack FILE.tar.gz [--bin PROGRAM]
#
#   --bin      the program (default: target/release/linly-bench, then the one in PATH)
#   --out      where gpu-check.json and gpu-check.txt go (default: .)
#   --part     some parts only, so that the check can be split; --shape likewise of the benchmarks
#   --minutes  begin no benchmark after so many minutes (default 8)
#   --python   a Python with torch, transformers and peft: its LoRA steps of the same shapes take turns with ours (default: python3,
#              left out where it has none of them)
#   --pack     write what a GPU host needs into one file: the program without symbols (below 60 MiB), this script and its helper
#
# The host needs NVIDIA's driver, NVRTC and cuBLASLt: of the system's CUDA, or by scripts/cuda-toolchain.sh --all.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
usage() { sed -n '6,20s/^# \{0,1\}//p' "$0" >&2; exit 2; }
bin= out=. pack= python=python3 minutes=8 device=auto
parts=() shapes=()
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case $1 in
    --bin) bin=$2 ;; --out) out=$2 ;; --pack) pack=$2 ;; --python) python=$2 ;; --minutes) minutes=$2 ;; --device) device=$2 ;;
    --part) parts+=(--part "$2") ;; --shape) shapes+=(--shape "$2") ;;
    *) usage ;;
    esac
    shift 2
done
if [ -z "$bin" ]; then
    bin=${CARGO_TARGET_DIR:-$here/target}/release/linly-bench
    # In a packed folder the program lies beside the scripts.
    [ -x "$bin" ] || bin=$here/linly-bench
    [ -x "$bin" ] || bin=$(command -v linly-bench || true)
fi
[ -x "$bin" ] || { echo "no linly-bench: build it, or name it with --bin" >&2; exit 2; }

if [ -n "$pack" ]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    mkdir -p "$folder/linly-bench-gpu-check/scripts"
    strip -o "$folder/linly-bench-gpu-check/linly-bench" "$bin"
    cp "$here"/scripts/{gpu-check.sh,gpu-check-peft.py,cuda-toolchain.sh} "$folder/linly-bench-gpu-check/scripts/"
    size=$(du -sb "$folder/linly-bench-gpu-check" | cut -f1)
    [ "$size" -lt $((60 << 20)) ] || { echo "the package has $size bytes unpacked, more than 60 MiB" >&2; exit 1; }
    tar -C "$folder" -czf "$pack" linly-bench-gpu-check
    echo "$pack: $(du -sb "$pack" | cut -f1) bytes, $size unpacked"
    exit 0
fi

mkdir -p "$out"
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
status=0
"$bin" --home "$home" --device "$device" gpu-check "${parts[@]}" "${shapes[@]}" --minutes "$minutes" \
    --output "$out/gpu-check.json" | tee "$out/gpu-check.txt" || status=$?

# The same steps by PyTorch and PEFT, in turns with ours, where they are installed and a card was timed.
if grep -q '"tokens_per_second"' "$out/gpu-check.json" &&
    "$python" -c 'import torch, transformers, peft, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    "$python" "$here/scripts/gpu-check-peft.py" --bin "$bin" --report "$out/gpu-check.json" --minutes "$minutes" |
        tee -a "$out/gpu-check.txt" || status=$?
elif grep -q '"tokens_per_second"' "$out/gpu-check.json"; then
    echo "PyTorch + PEFT were not compared: $python has not all of torch with CUDA, transformers and peft" | tee -a "$out/gpu-check.txt"
fi
echo "$out/gpu-check.json" >&2
exit "$status"
