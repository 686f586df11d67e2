# npm: a registry of static files.
. "${0%/*}/lib.sh"
mkdir -p package project
cp "$SMALL" package/small
echo '{"name":"demo-x","version":"1.0.0"}' >package/package.json
(cd package && npm pack --silent --pack-destination .. >/dev/null)
store demo-x-1.0.0.tgz demo-x/-/demo-x-1.0.0.tgz
sum=$(openssl dgst -sha512 -binary demo-x-1.0.0.tgz | base64 -w 0)
cat >about.json <<JSON
{"name":"demo-x","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"demo-x","version":"1.0.0",
"dist":{"integrity":"sha512-$sum","tarball":"${BASE}demo-x/-/demo-x-1.0.0.tgz"}}}}
JSON
store about.json demo-x application/json
cd project
echo '{}' >package.json
npm install --silent --no-audit --no-fund --no-update-notifier --registry "$BASE" demo-x
cp node_modules/demo-x/small "$GOT"
echo done
