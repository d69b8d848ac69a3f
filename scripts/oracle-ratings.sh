#!/bin/sh
# Makes tests/oracle/ratings.json anew: battles and what arena-rank says of them.
#
# usage: scripts/oracle-ratings.sh PEERS_DIR [DATA_DIR]
#   PEERS_DIR  the peers' environment: venv/bin/python there has arena-rank 0.1.1
#   DATA_DIR   public battle sets (arena_hard, prd_vicuna80); without it their values are left out
set -eu
[ $# -ge 1 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
new=$(mktemp)
trap 'rm -f "$new"' EXIT
"$1/venv/bin/python" "$here/tests/oracle/ratings.py" ${2:+"$2"} >"$new"
cat "$new" >"$here/tests/oracle/ratings.json"
