# Sends requests that are refused permanently, by the client that the first argument names.
host=${ENDPOINT#*://}
case $1 in
boto3)
    "$CLIENT" - <<'PYTHON'
import os

import boto3
from botocore.exceptions import ClientError

client = boto3.client(
    "s3",
    endpoint_url=os.environ["ENDPOINT"],
    region_name="us-east-1",
    aws_access_key_id="any",
    aws_secret_access_key="any",
)
at = {"Bucket": "tmp"}
for ask in (
    lambda: client.put_object(Key="other/boto3", Body=b"x", **at),
    lambda: client.put_object(Key="inbox/boto3-encrypted", Body=b"x", ServerSideEncryption="AES256", **at),
    lambda: client.put_object_acl(Key="inbox/boto3-acl-put", ACL="private", **at),
    lambda: client.get_object_acl(Key="inbox/boto3-acl-get", **at),
    lambda: client.restore_object(Key="inbox/boto3-restore", RestoreRequest={"Days": 1}, **at),
):
    try:
        ask()
    except ClientError:
        continue
    raise SystemExit("a request succeeded that must be refused")
PYTHON
    ;;
s3cmd)
    ask() {
        s3cmd --config=/dev/null --access_key=any --secret_key=any --region=us-east-1 --host="$host" \
            --host-bucket="$host" --no-ssl --no-progress "$@" && exit 1 || true
    }
    ask put "$SMALL" s3://tmp/other/s3cmd
    ask put --server-side-encryption "$SMALL" s3://tmp/inbox/s3cmd-encrypted
    ;;
rclone)
    remote=":s3,provider=Minio,endpoint='$ENDPOINT',no_check_bucket=true:tmp"
    ask() { rclone --config /dev/null --retries 1 "$@" && exit 1 || true; }
    ask copyto "$SMALL" "$remote/other/rclone"
    ask copyto --s3-server-side-encryption AES256 "$SMALL" "$remote/inbox/rclone-encrypted"
    ;;
mc)
    export MC_CONFIG_DIR="$HOME/mc" MC_HOST_proxy="http://anyanyany:anyanyany@$host"
    ask() { "$CLIENT" --quiet "$@" && exit 1 || true; }
    ask cp "$SMALL" proxy/tmp/other/mc
    ;;
esac
