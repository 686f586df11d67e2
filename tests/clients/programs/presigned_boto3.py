"""URLs that boto3 presigns with both versions of signatures, used by plain HTTP clients."""

import os
import subprocess
import urllib.request

import boto3
from botocore.config import Config

env = os.environ
small = open(env["SMALL"], "rb").read()


def ask(method, url, body=None, headers={}):
    request = urllib.request.Request(url, body, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return answer.read(), answer.headers


for version in ["s3v4", "s3"]:
    client = boto3.client(
        "s3",
        endpoint_url=env["ENDPOINT"],
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(signature_version=version, s3={"addressing_style": "path"}),
    )

    def url(operation, key, **parameters):
        parameters = {"Bucket": "tmp", "Key": env["PREFIX"] + key, **parameters}
        return client.generate_presigned_url(operation, Params=parameters, ExpiresIn=300)

    ask("PUT", url("put_object", "small"), small)
    for parameters in [{"ACL": "public-read"}, {"RequestPayer": "requester"}, {"ChecksumAlgorithm": "SHA256"}]:
        ask("PUT", url("put_object", "other", **parameters), b"other")
    # Version 2 puts these into the query. With version 4 the sender must add them as headers.
    headers = {"x-amz-meta-a": "b", "Content-Type": "text/csv"} if version == "s3v4" else {}
    ask("PUT", url("put_object", "about", Metadata={"a": "b"}, ContentType="text/csv"), b"about", headers)
    _, about = ask("HEAD", url("head_object", "about"))
    assert about["x-amz-meta-a"] == "b", about
    if version == "s3v4":
        assert about["content-type"] == "text/csv", about
    given = {"ResponseContentDisposition": 'attachment; filename="x y"', "ChecksumMode": "ENABLED", "RequestPayer": "requester"}
    content, answer = ask("GET", url("get_object", "small", **given))
    assert content == small and answer["content-disposition"] == 'attachment; filename="x y"', answer
    got = subprocess.run(["curl", "-sSf", url("get_object", "small")], check=True, capture_output=True).stdout
    with open(env["GOT"] + "/small", "wb") as target:
        target.write(got)
    put = ["curl", "-sSf", "-T", env["MEDIUM"], url("put_object", "medium")]
    subprocess.run(put, check=True)
    with open(env["GOT"] + "/medium", "wb") as target:
        target.write(ask("GET", url("get_object", "medium"))[0])
    ask("DELETE", url("delete_object", "other"))
print("done")
