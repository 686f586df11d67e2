// The AWS SDK for JavaScript 3: requests, a multipart upload, and presigned URLs with the default options, used by `fetch`
// and by curl.
const { createRequire } = require("node:module");
const { execFileSync } = require("node:child_process");
const { createReadStream, readFileSync, writeFileSync } = require("node:fs");
const { pipeline } = require("node:stream/promises");
const installed = createRequire(process.env.TOOLS + "/node/");
const s3 = installed("@aws-sdk/client-s3");
const { getSignedUrl } = installed("@aws-sdk/s3-request-presigner");
const { Upload } = installed("@aws-sdk/lib-storage");

const { ENDPOINT, PREFIX, SMALL, MEDIUM, GOT } = process.env;
const { AWS_ACCESS_KEY_ID: accessKeyId = "any", AWS_SECRET_ACCESS_KEY: secretAccessKey = "any" } = process.env;
const credentials = { accessKeyId, secretAccessKey };
const client = new s3.S3Client({ endpoint: ENDPOINT, region: "us-east-1", forcePathStyle: true, credentials });
const at = (name, more) => ({ Bucket: "tmp", Key: PREFIX + name, ...more });
const curl = (...options) => execFileSync("curl", ["-sSf", ...options], { maxBuffer: 1 << 26 });

function same(found, wanted, what) {
  if (String(found) !== String(wanted)) throw new Error(`${what}: found ${found}, expected ${wanted}`);
}

async function byHttp(method, command, body, headers) {
  const answer = await fetch(await getSignedUrl(client, command), { method, body, headers });
  if (!answer.ok) throw new Error(`${method}: ${answer.status} ${await answer.text()}`);
  return answer;
}

async function requests() {
  await client.send(new s3.PutObjectCommand(at("small", { Body: readFileSync(SMALL), Metadata: { a: "b" } })));
  const got = await client.send(new s3.GetObjectCommand(at("small")));
  same(got.Metadata.a, "b", "metadata");
  writeFileSync(GOT + "/small", await got.Body.transformToByteArray());
  const large = { Body: createReadStream(MEDIUM) };
  await new Upload({ client, params: at("medium", large), partSize: 5 << 20 }).done();
  const medium = await client.send(new s3.GetObjectCommand(at("medium")));
  await pipeline(medium.Body, require("node:fs").createWriteStream(GOT + "/medium"));
  await client.send(new s3.CopyObjectCommand(at("copy", { CopySource: "tmp/" + PREFIX + "small" })));
  const list = await client.send(new s3.ListObjectsV2Command({ Bucket: "tmp", Prefix: PREFIX }));
  same(list.Contents.map((entry) => entry.Key.slice(PREFIX.length)), ["copy", "medium", "small"], "list");
  await client.send(new s3.DeleteObjectsCommand({ Bucket: "tmp", Delete: { Objects: [{ Key: PREFIX + "copy" }] } }));
}

async function presigned() {
  await byHttp("PUT", new s3.PutObjectCommand(at("put")), "body");
  const about = { Metadata: { a: "b" }, Tagging: "c=d", ACL: "public-read", StorageClass: "STANDARD" };
  await byHttp("PUT", new s3.PutObjectCommand(at("about", about)), "body");
  const answer = await byHttp("HEAD", new s3.HeadObjectCommand(at("about")));
  same(answer.headers.get("x-amz-meta-a"), "b", "metadata in a URL");
  same(await (await byHttp("GET", new s3.GetObjectCommand(at("put")))).text(), "body", "GET");
  const given = { ChecksumMode: "ENABLED", RequestPayer: "requester", ResponseContentType: "text/csv" };
  same((await byHttp("GET", new s3.GetObjectCommand(at("put", given)))).headers.get("content-type"), "text/csv", "type");
  curl("-T", MEDIUM, await getSignedUrl(client, new s3.PutObjectCommand(at("by-curl"))));
  same(curl(await getSignedUrl(client, new s3.GetObjectCommand(at("by-curl")))).equals(readFileSync(MEDIUM)), true, "curl");
  const { UploadId } = await client.send(new s3.CreateMultipartUploadCommand(at("parts")));
  const part = { UploadId, PartNumber: 1 };
  const ETag = (await byHttp("PUT", new s3.UploadPartCommand(at("parts", part)), "part")).headers.get("etag");
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
  await client.send(new s3.CompleteMultipartUploadCommand(at("parts", { UploadId, MultipartUpload })));
  await byHttp("DELETE", new s3.DeleteObjectCommand(at("put")));
}

requests().then(presigned).then(() => console.log("done"));
