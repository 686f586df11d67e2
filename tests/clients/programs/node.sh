# The script for Node.js that the first argument names.
. "${0%/*}/lib.sh"
exec node "${0%/*}/$1"
