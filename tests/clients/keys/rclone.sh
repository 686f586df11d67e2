# rclone: copies, checks, and links.
. "${0%/*}/lib.sh"
ask() {
    rclone --config /dev/null --retries 1 --s3-provider Minio --s3-endpoint "$ENDPOINT" --s3-no-check-bucket \
        --s3-region us-east-1 --s3-access-key-id "$AWS_ACCESS_KEY_ID" --s3-secret-access-key "$AWS_SECRET_ACCESS_KEY" \
        --s3-upload-cutoff 8M --s3-chunk-size 5M "$@"
}
sample data
ask copy data ":s3:$AT/data"
ask check data ":s3:$AT/data"
ask copy ":s3:$AT/data" back
diff -r data back
ask rcat ":s3:$AT/streamed" <"$SMALL"
ask copyto ":s3:$AT/data/deep/medium" "$GOT/medium"
link=$(ask link --expire 10m ":s3:$AT/streamed")
curl --silent --show-error --fail --output "$GOT/small" "$link"
refused 403 SignatureDoesNotMatch --request DELETE "$link"
key=$AWS_SECRET_ACCESS_KEY
AWS_SECRET_ACCESS_KEY=another-secret-of-32-characters_
says SignatureDoesNotMatch ask lsf ":s3:$AT/"
says SignatureDoesNotMatch ask copyto --no-check-dest "$SMALL" ":s3:$AT/refused"
AWS_SECRET_ACCESS_KEY=$key AWS_ACCESS_KEY_ID=SGNOBODY
says InvalidAccessKeyId ask lsf ":s3:$AT/"
echo done
