# A script for Node.js, which the first argument names.
. "${0%/*}/lib.sh"
exec node "${0%/*}/$1"
