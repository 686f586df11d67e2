# s3cmd: finds an upload that was interrupted and resumes it.
. "${0%/*}/lib.sh"
host=${ENDPOINT#*://}
ask() {
    s3cmd --config=/dev/null --access_key=any --secret_key=any --region=us-east-1 --host="$host" --host-bucket="$host" --no-ssl \
        --no-progress --multipart-chunk-size-mb=5 "$@"
}
key="s3://tmp/${PREFIX}medium"
begin() { aws --endpoint-url "$ENDPOINT" --region us-east-1 s3api "$@"; }
id=$(begin create-multipart-upload --bucket tmp --key "${PREFIX}medium" --output text --query UploadId)
head -c 5242880 "$MEDIUM" >part
begin upload-part --bucket tmp --key "${PREFIX}medium" --part-number 1 --upload-id "$id" --body part >/dev/null
ask multipart s3://tmp | grep -qF "$id"
ask put --continue-put "$MEDIUM" "$key" >said
# s3cmd has completed that upload instead of starting another one.
if ask multipart s3://tmp | grep -qF "$id"; then exit 1; fi
ask get "$key" "$GOT/medium" >said
echo done
