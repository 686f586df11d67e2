# MinIO's mc.
set -eu
export MC_CONFIG_DIR="$HOME/mc"
if [ "$KEYS" = none ]; then login=; else login=$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY@; fi
export MC_HOST_proxy="${ENDPOINT%%://*}://$login${ENDPOINT#*://}"
ask() { "$CLIENT" --quiet "$@"; }
case $1 in
get) ask cp proxy/tmp/inbox/hello.txt "$OUT" ;;
put) ask cp "$SMALL" "proxy/tmp/${PREFIX}small" ;;
large) ask cp "$LARGE" "proxy/tmp/${PREFIX}large" ;;
list) ask ls proxy/tmp/inbox/many/ ;;
delete) ask rm "proxy/tmp/${PREFIX}small" ;;
esac
