# curl, which knows nothing of S3.
set -eu
at="$ENDPOINT/tmp"
ask() { curl --silent --show-error --fail --cacert "$CA" "$@"; }
case $1 in
get) ask -o "$OUT" "$at/inbox/hello.txt" ;;
put) ask -T "$SMALL" "$at/${PREFIX}small" ;;
# Of no length that curl would say: parts of a multipart upload are made of it.
large) ask -T - "$at/${PREFIX}large" <"$LARGE" ;;
list) ask "$at/inbox/many/?format=text" ;;
delete) ask -X DELETE "$at/${PREFIX}small" ;;
esac
