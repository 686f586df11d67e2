"""minio-py with a local access key: presigned URLs, and the errors that it shows."""

import io
import os
import urllib.request
from datetime import timedelta

from minio import Minio
from minio.error import S3Error

env = os.environ
host = env["ENDPOINT"].split("://")[1]
small = open(env["SMALL"], "rb").read()


def connect(access_key=env["AWS_ACCESS_KEY_ID"], secret_key=env["AWS_SECRET_ACCESS_KEY"]):
    return Minio(endpoint=host, access_key=access_key, secret_key=secret_key, secure=False, region="us-east-1")


client = connect()
at = {"bucket_name": "tmp", "object_name": env["PREFIX"] + "small"}
put = client.presigned_put_object(**at, expires=timedelta(minutes=5))
urllib.request.urlopen(urllib.request.Request(put, small, method="PUT")).close()
with urllib.request.urlopen(client.presigned_get_object(**at, expires=timedelta(minutes=5))) as answer:
    with open(env["GOT"] + "/small", "wb") as target:
        target.write(answer.read())
for wrong, code in [
    (connect(secret_key="another-secret-of-32-characters_"), "SignatureDoesNotMatch"),
    (connect(access_key="SGNOBODY"), "InvalidAccessKeyId"),
]:
    try:
        wrong.put_object(**at, data=io.BytesIO(b"x"), length=1)
    except S3Error as error:
        assert error.code == code, error
    else:
        raise SystemExit(f"succeeded, but must fail with {code}")
print("done")
