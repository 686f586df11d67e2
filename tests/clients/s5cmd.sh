# s5cmd.
set -eu
export AWS_CA_BUNDLE="$CA"
ask() {
    if [ "$KEYS" = none ]; then set -- --no-sign-request "$@"; fi
    s5cmd --endpoint-url "$ENDPOINT" "$@"
}
case $1 in
get) ask cp s3://tmp/inbox/hello.txt "$OUT" ;;
put) ask cp "$SMALL" "s3://tmp/${PREFIX}small" ;;
large) ask cp --part-size 16 "$LARGE" "s3://tmp/${PREFIX}large" ;;
list) ask ls 's3://tmp/inbox/many/*' ;;
delete) ask rm "s3://tmp/${PREFIX}small" ;;
esac
