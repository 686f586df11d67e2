# The AWS CLI, mc and rclone find uploads that were never completed, and abort them.
. "${0%/*}/lib.sh"
export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=anyanyany
api() { aws --endpoint-url "$ENDPOINT" --region us-east-1 --output text s3api "$@"; }
begin() { api create-multipart-upload --bucket tmp --key "$PREFIX$1" --query UploadId; }
ids() { api list-multipart-uploads --bucket tmp --prefix "$PREFIX" --query 'Uploads[].UploadId'; }
first=$(begin first)
begin second >/dev/null
ids | grep -qF "$first"
api abort-multipart-upload --bucket tmp --key "${PREFIX}first" --upload-id "$first"
if ids | grep -qF "$first"; then exit 1; fi
export MC_CONFIG_DIR="$HOME/mc" MC_HOST_proxy="http://any:anyanyany@${ENDPOINT#*://}"
"$MC" --quiet ls --incomplete "proxy/tmp/$PREFIX" | grep -q second
"$MC" --quiet rm --incomplete --recursive --force "proxy/tmp/$PREFIX"
[ "$(ids)" = None ]
begin third >/dev/null
remote=":s3,provider=Minio,endpoint='$ENDPOINT',env_auth=true,no_check_bucket=true:tmp/${PREFIX%/}"
rclone --config /dev/null backend list-multipart-uploads "$remote" | grep -q third
rclone --config /dev/null backend cleanup "$remote" -o max-age=0s
[ "$(ids)" = None ]
echo done
