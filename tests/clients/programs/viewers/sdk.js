// The AWS SDK for JavaScript 3 in a page: puts an object, uploads one in parts, lists and reads both.
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

export async function read({ app, prefix }) {
  const credentials = { accessKeyId: "any", secretAccessKey: "any" };
  const client = new S3Client({ endpoint: app, region: "us-east-1", forcePathStyle: true, credentials });
  const at = (name, more) => ({ Bucket: "tmp", Key: prefix + name, ...more });
  // The SDK cannot compute the checksum of a `Blob` in PutObject.
  const small = new Uint8Array(await (await fetch("/small")).arrayBuffer());
  await client.send(new PutObjectCommand(at("small", { Body: small })));
  const medium = await (await fetch("/medium")).blob();
  await new Upload({ client, params: at("medium", { Body: medium }), partSize: 5 << 20 }).done();
  for (const name of ["small", "medium"]) {
    const got = await client.send(new GetObjectCommand(at(name)));
    await fetch("/got/" + name, { method: "POST", body: await got.Body.transformToByteArray() });
  }
  const list = await client.send(new ListObjectsV2Command({ Bucket: "tmp", Prefix: prefix }));
  const presigned = await fetch(await getSignedUrl(client, new GetObjectCommand(at("small"))));
  const missing = await client.send(new GetObjectCommand(at("none"))).catch((error) => error.name);
  const keys = list.Contents.map((entry) => entry.Key.slice(prefix.length));
  return { keys, presigned: presigned.status, missing };
}
