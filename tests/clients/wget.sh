# wget, as a plain HTTP client.
set -eu
at="$ENDPOINT/tmp"
ask() { wget --quiet --no-netrc --ca-certificate="$CA" "$@"; }
case $1 in
get) ask -O "$OUT" "$at/inbox/hello.txt" ;;
put) ask -O - --method=PUT --body-file="$SMALL" "$at/${PREFIX}small" ;;
large) ask -O - --method=PUT --body-file="$LARGE" "$at/${PREFIX}large" ;;
list) ask -O - "$at/inbox/many/?format=text" ;;
delete) ask -O - --method=DELETE "$at/${PREFIX}small" ;;
esac
