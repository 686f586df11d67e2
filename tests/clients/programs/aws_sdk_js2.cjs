// The AWS SDK for JavaScript 2. It puts `Content-Type` and conditions into the query of presigned URLs.
process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = "1";
const { createRequire } = require("node:module");
const { readFileSync, writeFileSync } = require("node:fs");
const { S3 } = createRequire(process.env.TOOLS + "/node/")("aws-sdk");

const { ENDPOINT, PREFIX, SMALL, GOT } = process.env;
const keys = { accessKeyId: "any", secretAccessKey: "any", region: "us-east-1" };

async function all(signatureVersion) {
  const client = new S3({ endpoint: ENDPOINT, s3ForcePathStyle: true, signatureVersion, ...keys });
  const at = (name, more) => ({ Bucket: "tmp", Key: PREFIX + name, ...more });
  await client.putObject(at("small", { Body: readFileSync(SMALL) })).promise();
  writeFileSync(GOT + "/small", (await client.getObject(at("small")).promise()).Body);
  const ask = async (method, operation, parameters, body) =>
    fetch(client.getSignedUrl(operation, parameters), { method, body });
  const put = await ask("PUT", "putObject", at("put", { ContentType: "text/csv", ContentMD5: "hBotaJrYa9FhFEdFPCLG/A==" }), Buffer.from("body"));
  if (!put.ok) throw new Error(`PUT: ${put.status} ${await put.text()}`);
  const got = await ask("GET", "getObject", at("put", { ResponseContentDisposition: "attachment" }));
  const found = [got.status, got.headers.get("content-type"), got.headers.get("content-disposition"), await got.text()];
  if (String(found) !== "200,text/csv,attachment,body") throw new Error(`GET: ${found}`);
}

all("v4").then(() => all("v2")).then(() => console.log("done"));
