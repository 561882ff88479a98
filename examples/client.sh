#!/bin/sh
# Reconstruct the first row of an .npy of uint8 by a server of the Open Inference Protocol (v2), and print
# its answer. Needs curl.
#
# sh examples/client.sh http://127.0.0.1:8080 digits data/prepared/digits/test.npy
set -eu
server=$1 recipe=$2 file=$3

# An .npy is ten bytes, the last two of which are the header's length, then the header, then the values.
start=$((10 + $(od -An -tu2 -j8 -N2 "$file")))
header=$(head -c "$start" "$file" | tail -c +11)
shape=$(echo "$header" | sed -n "s/.*'|u1'.*'shape': ([0-9]*, \([0-9, ]*\)).*/\1/p")
test "$shape" || { echo "$file: an .npy of uint8 is wanted" >&2; exit 2; }
size=$(($(echo "$shape" | tr ',' '*')))
values=$(od -An -v -tu1 -j"$start" -N"$size" "$file" | xargs | tr ' ' ',')

echo '{"inputs": [{"name": "x", "datatype": "UINT8", "shape": [1, '"$shape"'], "data": ['"$values"']}]}' |
  curl --silent --show-error --fail-with-body --header 'Content-Type: application/json' --data @- \
    "$server/v2/models/${recipe}_reconstruct/infer"
