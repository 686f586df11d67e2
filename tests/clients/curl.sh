# curl, as a plain HTTP client.
set -eu
at="$ENDPOINT/tmp"
ask() { curl --silent --show-error --fail --cacert "$CA" "$@"; }
case $1 in
get) ask -o "$OUT" "$at/inbox/hello.txt" ;;
put) ask -T "$SMALL" "$at/${PREFIX}small" ;;
# From a pipe, so that curl sends no length and the proxy makes a multipart upload of it.
large) ask -T - "$at/${PREFIX}large" <"$LARGE" ;;
list) ask "$at/inbox/many/?format=text" ;;
delete) ask -X DELETE "$at/${PREFIX}small" ;;
esac
