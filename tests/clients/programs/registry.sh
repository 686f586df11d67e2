# docker-registry: pushes a layer in two pieces and pulls it. The registry lists the uploads of its bucket to resume one.
. "${0%/*}/lib.sh"
cat >config.yml <<YAML
version: 0.1
log: {level: warn}
storage:
  s3:
    {accesskey: any, secretkey: anyanyany, region: us-east-1, regionendpoint: "$ENDPOINT", secure: false, v4auth: true,
     bucket: tmp, rootdirectory: "/${PREFIX%/}", chunksize: 5242880}
  redirect: {disable: true}
http: {addr: "127.0.0.1:0", debug: {addr: ""}}
YAML
# The registry does not log its port, so the port is read from /proc.
docker-registry serve config.yml >registry.log 2>&1 &
registry=$!
trap 'kill $registry' EXIT
port=
until [ -n "$port" ]; do
    kill -0 $registry || { cat registry.log >&2; exit 1; }
    port=$(python3 "${0%/*}/port_of.py" $registry)
done
at=http://127.0.0.1:$port
location() { tr -d '\r' <"$1" | sed -n 's/^[Ll]ocation: //p'; }
ask() { curl --silent --show-error --fail -D head -o /dev/null "$@" || { cat registry.log >&2; exit 1; }; }
digest=sha256:$(sha256 "$MEDIUM")
head -c 7000000 "$MEDIUM" >first
tail -c +7000001 "$MEDIUM" >second
ask -X POST "$at/v2/demo/blobs/uploads/"
ask -X PATCH -H 'Content-Type: application/octet-stream' --data-binary @first "$(location head)"
ask -X PATCH -H 'Content-Type: application/octet-stream' --data-binary @second "$(location head)"
ask -X PUT "$(location head)&digest=$digest"
curl --silent --fail -o "$GOT/medium" "$at/v2/demo/blobs/$digest"
echo done
