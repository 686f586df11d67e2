"""The S3 file system of pyarrow. With KEYS=none it does not sign."""

import os
import shutil
import sys

from pyarrow import fs

env = os.environ
scheme, host = env["ENDPOINT"].split("://")
keys = {"anonymous": True} if env["KEYS"] == "none" else {"access_key": env["AWS_ACCESS_KEY_ID"], "secret_key": env["AWS_SECRET_ACCESS_KEY"]}
client = fs.S3FileSystem(
    endpoint_override=host, scheme=scheme, region="us-east-1", tls_ca_file_path=env["CA"], **keys
)


def put(file, key):
    with open(file, "rb") as source, client.open_output_stream("tmp/" + env["PREFIX"] + key) as target:
        shutil.copyfileobj(source, target, 8 << 20)


step = sys.argv[1]
if step == "get":
    with client.open_input_stream("tmp/inbox/hello.txt") as source, open(env["OUT"], "wb") as target:
        shutil.copyfileobj(source, target)
elif step == "put":
    put(env["SMALL"], "small")
elif step == "large":
    put(env["LARGE"], "large")
elif step == "list":
    for entry in client.get_file_info(fs.FileSelector("tmp/inbox/many")):
        print(entry.path)
elif step == "delete":
    client.delete_file("tmp/" + env["PREFIX"] + "small")
