# The AWS CLI, version 1 or 2.
set -eu
aws() {
    if [ "$KEYS" = none ]; then set -- "$@" --no-sign-request; fi
    "$CLIENT" --endpoint-url "$ENDPOINT" --ca-bundle "$CA" --region us-east-1 "$@"
}
case $1 in
get) aws s3 cp --no-progress s3://tmp/inbox/hello.txt "$OUT" ;;
put) aws s3 cp --no-progress "$SMALL" "s3://tmp/${PREFIX}small" ;;
large) aws s3 cp --no-progress "$LARGE" "s3://tmp/${PREFIX}large" ;;
list) aws s3 ls s3://tmp/inbox/many/ ;;
delete) aws s3 rm "s3://tmp/${PREFIX}small" ;;
esac
