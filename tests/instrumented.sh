#!/usr/bin/env bash
# usage: tests/instrumented.sh SANITIZERS COMMAND...
#
# Builds the C++ tests and the extension with -fsanitize=SANITIZERS in build/SANITIZERS, and runs a command for which
# `import kilograd` means that extension:
#
#     tests/instrumented.sh address,undefined ctest --test-dir build/address,undefined
#     tests/instrumented.sh address,undefined python -m pytest tests/test_lifetime.py
#     tests/instrumented.sh thread python -m pytest -n0 tests/test_threads.py
#
# Python, CMake and Ninja are those of .venv, or of the environment whose path is in VENV.
set -euo pipefail
sanitizers=$1
shift
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build/$sanitizers
export PATH="${VENV:-$root/.venv}/bin:$PATH"

if [ ! -f "$build/build.ninja" ]; then
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS="-O1 -g1" \
        -DKILOGRAD_SANITIZE="$sanitizers" -DKILOGRAD_TESTS=ON -DKILOGRAD_EXTENSION=ON -DKILOGRAD_WERROR=ON \
        -Dpybind11_DIR="$(python -m pybind11 --cmakedir)" -DPython_EXECUTABLE="$(command -v python)" >/dev/null
fi
cmake --build "$build"
rm -rf "$build/python"
cmake --install "$build" --prefix "$build/python" >/dev/null

# Python itself is not instrumented: the runtime has to be there before it, and libstdc++ before the runtime looks for
# the functions that throw. Python's own allocator would hide what becomes of objects; what it never frees is no leak.
library() { "${CXX:-g++}" -print-file-name="$1"; }
case $sanitizers in
*address*) preload="$(library libasan.so) $(library libstdc++.so.6)" ;;
*thread*) preload="$(library libtsan.so) $(library libstdc++.so.6)" ;;
*) preload="$(library libubsan.so)" ;;
esac
export PYTHONPATH="$build/python${PYTHONPATH:+:$PYTHONPATH}" PYTHONMALLOC=malloc
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:die_after_fork=0
exec setarch "$(uname -m)" --addr-no-randomize env LD_PRELOAD="$preload" "$@"
