"""boto3 with its defaults. With KEYS=none it does not sign."""

import os
import sys

import boto3
from botocore import UNSIGNED
from botocore.config import Config

env = os.environ
client = boto3.client(
    "s3",
    endpoint_url=env["ENDPOINT"],
    region_name="us-east-1",
    verify=env["CA"],
    **({"config": Config(signature_version=UNSIGNED)} if env["KEYS"] == "none" else {}),
)


def keys_of_many():
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="tmp", Prefix="inbox/many/"):
        for entry in page["Contents"]:
            yield entry["Key"]


step = sys.argv[1]
if step == "get":
    client.download_file("tmp", "inbox/hello.txt", env["OUT"])
elif step == "put":
    with open(env["SMALL"], "rb") as small:
        client.put_object(Bucket="tmp", Key=env["PREFIX"] + "small", Body=small)
elif step == "large":
    client.upload_file(env["LARGE"], "tmp", env["PREFIX"] + "large")
elif step == "list":
    print("\n".join(keys_of_many()))
elif step == "delete":
    client.delete_object(Bucket="tmp", Key=env["PREFIX"] + "small")
