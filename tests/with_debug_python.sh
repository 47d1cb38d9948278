#!/usr/bin/env bash
# usage: tests/with_debug_python.sh [arguments of pytest]
#
# Builds the package from source for CPython's debug build, which checks reference counts and what the collector sees, in
# an environment under build/, and runs the tests there. On Debian and Ubuntu: apt-get install python3-dbg python3-venv.
# Another debug build is named by DEBUG_PYTHON.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=$PWD/build/debug-python

[ -x "$environment/bin/python" ] || "${DEBUG_PYTHON:-python3-dbg}" -m venv "$environment"
"$environment/bin/python" -c 'import sys; sys.exit(not hasattr(sys, "gettotalrefcount") and "this Python is no debug build")'
# With NDEBUG: pybind11 asserts that none of its constructors is refused memory, and aborts where it is to raise.
"$environment/bin/pip" install -q -Ccmake.build-type=RelWithDebInfo '.[test]'
exec "$environment/bin/python" -m pytest "$@"
