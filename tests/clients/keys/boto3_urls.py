"""boto3 with a local access key: presigned URLs used by curl, forms, signed payloads, and errors."""

import os
import re
import subprocess

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

env = os.environ
small, medium = env["SMALL"], env["MEDIUM"]


def connect(access_key=env["AWS_ACCESS_KEY_ID"], secret_key=env["AWS_SECRET_ACCESS_KEY"], **s3):
    return boto3.client(
        "s3",
        endpoint_url=env["ENDPOINT"],
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path", **s3}),
    )


client = connect()


def url(operation, key, **parameters):
    parameters = {"Bucket": "tmp", "Key": env["PREFIX"] + key, **parameters}
    return client.generate_presigned_url(operation, Params=parameters, ExpiresIn=300)


def curl(*options):
    """Returns what curl received, and the status."""
    sent = subprocess.run(["curl", "-sS", "-w", "\n%{http_code}", *options], check=True, capture_output=True)
    body, _, status = sent.stdout.rpartition(b"\n")
    return body, int(status)


def refused(status, code, *options):
    body, found = curl(*options)
    assert found == status and f"<Code>{code}</Code>".encode() in body, (found, body, options)
    return body.decode()


# URLs to put, with a content type that the URL fixes.
assert curl("-T", medium, url("put_object", "medium"))[1] == 200
typed = url("put_object", "small", ContentType="text/csv")
refused(403, "SignatureDoesNotMatch", "-T", small, "-H", "Content-Type: text/html", typed)
refused(403, "AccessDenied", "-T", small, "-H", "Content-Type: text/csv", "-H", "x-amz-meta-a: b", typed)
assert curl("-T", small, "-H", "Content-Type: text/csv", typed)[1] == 200
about, status = curl("-I", url("head_object", "small"))
assert status == 200 and re.search(rb"(?im)^content-type: text/csv", about), about
for name in ["small", "medium"]:
    assert curl("-o", f"{env['GOT']}/{name}", url("get_object", name))[1] == 200
disposition = 'attachment; filename="x y"'
answer, status = curl("-D-", url("get_object", "small", ResponseContentDisposition=disposition))
assert status == 200 and disposition.encode() in answer, answer
refused(403, "SignatureDoesNotMatch", "-X", "DELETE", url("get_object", "small"))
assert curl("-X", "DELETE", url("delete_object", "small"))[1] == 204

# Uploads by a form are not supported.
form = client.generate_presigned_post("tmp", env["PREFIX"] + "form")
fields = [part for name, value in form["fields"].items() for part in ("-F", f"{name}={value}")]
refused(403, "AccessDenied", *fields, "-F", f"file=@{small}", form["url"])
try:
    client.head_object(Bucket="tmp", Key=env["PREFIX"] + "form")
except ClientError as error:
    assert error.response["Error"]["Code"] == "404", error
else:
    raise SystemExit("a form stored an object")

# Signed payloads, parts, and checksums that boto3 computes.
for given in [{}, {"payload_signing_enabled": True}]:
    signing = connect(**given)
    for more in [{}, {"ChecksumAlgorithm": "SHA256"}, {"ChecksumAlgorithm": "SHA1"}, {"IfNoneMatch": "*"}]:
        with open(small, "rb") as body:
            signing.put_object(Bucket="tmp", Key=env["PREFIX"] + "signed", Body=body, Metadata={"a": "b"}, **more)
        assert signing.get_object(Bucket="tmp", Key=env["PREFIX"] + "signed")["Metadata"] == {"a": "b"}
        signing.delete_object(Bucket="tmp", Key=env["PREFIX"] + "signed")
    parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    signing.upload_file(medium, "tmp", env["PREFIX"] + "parts", Config=parts)
    signing.download_file("tmp", env["PREFIX"] + "parts", "parts", Config=parts)
    with open(medium, "rb") as sent, open("parts", "rb") as received:
        assert sent.read() == received.read()

# What users of a wrong key see.
for wrong, code in [
    (connect(secret_key="another-secret-of-32-characters_"), "SignatureDoesNotMatch"),
    (connect(access_key="SGNOBODY"), "InvalidAccessKeyId"),
]:
    for ask in [
        lambda: wrong.list_objects_v2(Bucket="tmp", Prefix=env["PREFIX"]),
        lambda: wrong.put_object(Bucket="tmp", Key=env["PREFIX"] + "refused", Body=b"x"),
    ]:
        try:
            ask()
        except ClientError as error:
            assert error.response["Error"]["Code"] == code, error
        else:
            raise SystemExit(f"succeeded, but must fail with {code}")
print("done")
