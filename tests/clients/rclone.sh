# rclone.
set -eu
remote=":s3,provider=Minio,endpoint='$ENDPOINT',no_check_bucket=true:tmp"
ask() {
    if [ "$KEYS" != none ]; then
        set -- "$@" --s3-access-key-id "$AWS_ACCESS_KEY_ID" --s3-secret-access-key "$AWS_SECRET_ACCESS_KEY"
    fi
    rclone --config /dev/null --ca-cert "$CA" --s3-upload-cutoff 16M --s3-chunk-size 16M "$@"
}
case $1 in
get) ask copyto "$remote/inbox/hello.txt" "$OUT" ;;
put) ask copyto "$SMALL" "$remote/${PREFIX}small" ;;
large) ask copyto "$LARGE" "$remote/${PREFIX}large" ;;
list) ask lsf "$remote/inbox/many" ;;
delete) ask deletefile "$remote/${PREFIX}small" ;;
esac
