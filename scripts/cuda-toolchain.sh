#!/usr/bin/env bash
# CUDA 13.0 without the system's toolkit: NVRTC and the headers it needs, or all of nvcc and cuBLAS, from PyPI's wheels.
#
#   scripts/cuda-toolchain.sh [--nvrtc | --ptxas | --all] [FOLDER]
#
#   --nvrtc  the run-time compiler only (90 MB): what the kernels' compile test needs; the default
#   --ptxas  and ptxas (with --nvrtc), which tells registers and spills
#   --all    nvcc, NVRTC, cuBLAS, unversioned links and a stub libcuda: builds and links any CUDA program
#
# FOLDER is ${XDG_CACHE_HOME:-~/.cache}/linly-bench-cuda-13.0 where it is not given. linly-bench finds the libraries in
# $LINLY_BENCH_CUDA, in that folder, in $CUDA_HOME, and where the system's loader looks. A machine with a GPU needs its
# driver (580 or newer for CUDA 13.0) besides.
set -euo pipefail
what=nvrtc
case "${1:-}" in --nvrtc | --ptxas | --all) what=${1#--}; shift ;; esac
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/linly-bench-cuda-13.0}
packages=(nvidia-cuda-nvrtc==13.0.88)
case $what in
ptxas) packages+=(nvidia-cuda-nvcc==13.0.88) ;;
all)
    packages+=(nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-cccl==13.0.85
        nvidia-cuda-runtime==13.0.96 nvidia-cublas==13.1.0.3 nvidia-curand==10.4.0.35)
    ;;
esac
mark="$folder/.$what-complete"
if [ ! -e "$mark" ]; then
    mkdir -p "$folder"
    # --target unpacks wheels into a folder and touches nothing else; --no-deps keeps to the list.
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target "$folder" "${packages[@]}" >&2
    cuda="$folder/nvidia/cu13"
    if [ "$what" = all ]; then
        # The linker asks for names without a version.
        for library in "$cuda"/lib/lib*.so.*; do
            plain=${library%%.so.*}.so
            [ -e "$plain" ] || ln -s "$(basename "$library")" "$plain"
        done
        ln -sfn lib "$cuda/lib64"
        # The driver's library comes with the driver. Programs link against an empty one of its name.
        mkdir -p "$cuda/lib/stubs"
        echo 'void cuInit(void) {}' | cc -shared -x c -o "$cuda/lib/stubs/libcuda.so" -Wl,-soname,libcuda.so.1 -
    fi
    touch "$mark"
fi
echo "$folder"
[ "$what" != all ] || echo "export CUDA_HOME=$folder/nvidia/cu13 PATH=$folder/nvidia/cu13/bin:\$PATH LIBRARY_PATH=$folder/nvidia/cu13/lib:$folder/nvidia/cu13/lib/stubs" >&2
