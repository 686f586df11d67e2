"""s3fs. With KEYS=none it does not sign."""

import os
import sys

import s3fs

env = os.environ
keys = {"anon": True} if env["KEYS"] == "none" else {"key": env["AWS_ACCESS_KEY_ID"], "secret": env["AWS_SECRET_ACCESS_KEY"]}
client = s3fs.S3FileSystem(
    client_kwargs={"endpoint_url": env["ENDPOINT"], "region_name": "us-east-1", "verify": env["CA"]}, **keys
)

step = sys.argv[1]
if step == "get":
    client.get_file("tmp/inbox/hello.txt", env["OUT"])
elif step == "put":
    client.put_file(env["SMALL"], "tmp/" + env["PREFIX"] + "small")
elif step == "large":
    client.put_file(env["LARGE"], "tmp/" + env["PREFIX"] + "large", chunksize=16 << 20)
elif step == "list":
    print("\n".join(client.ls("tmp/inbox/many", detail=False)))
elif step == "delete":
    client.rm_file("tmp/" + env["PREFIX"] + "small")
