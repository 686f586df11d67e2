# s3cmd, which always signs.
set -eu
host=${ENDPOINT#*://}
case $ENDPOINT in https:*) tls=--ssl ;; *) tls=--no-ssl ;; esac
ask() {
    s3cmd --config=/dev/null --access_key="$AWS_ACCESS_KEY_ID" --secret_key="$AWS_SECRET_ACCESS_KEY" --region=us-east-1 --ca-certs="$CA" \
        --host="$host" --host-bucket="$host" "$tls" --no-progress "$@"
}
case $1 in
get) ask get --force s3://tmp/inbox/hello.txt "$OUT" ;;
put) ask put "$SMALL" "s3://tmp/${PREFIX}small" ;;
large) ask put "$LARGE" "s3://tmp/${PREFIX}large" ;;
list) ask ls s3://tmp/inbox/many/ ;;
delete) ask del "s3://tmp/${PREFIX}small" ;;
esac
