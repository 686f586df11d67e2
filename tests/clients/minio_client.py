"""minio-py. With KEYS=none it does not sign."""

import os
import sys

import urllib3
from minio import Minio

env = os.environ
scheme, host = env["ENDPOINT"].split("://")
keys = {} if env["KEYS"] == "none" else {"access_key": env["AWS_ACCESS_KEY_ID"], "secret_key": env["AWS_SECRET_ACCESS_KEY"]}
client = Minio(
    endpoint=host,
    secure=scheme == "https",
    http_client=urllib3.PoolManager(ca_certs=env["CA"]),
    **keys,
)

step = sys.argv[1]
if step == "get":
    client.fget_object(bucket_name="tmp", object_name="inbox/hello.txt", file_path=env["OUT"])
elif step == "put":
    client.fput_object(bucket_name="tmp", object_name=env["PREFIX"] + "small", file_path=env["SMALL"])
elif step == "large":
    client.fput_object(
        bucket_name="tmp", object_name=env["PREFIX"] + "large", file_path=env["LARGE"], part_size=16 << 20
    )
elif step == "list":
    for entry in client.list_objects(bucket_name="tmp", prefix="inbox/many/"):
        print(entry.object_name)
elif step == "delete":
    client.remove_object(bucket_name="tmp", object_name=env["PREFIX"] + "small")
