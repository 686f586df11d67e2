# mc: an alias, mirrors both ways, and shared links. Over plain HTTP mc signs every chunk of an upload.
. "${0%/*}/lib.sh"
export MC_CONFIG_DIR="$HOME/mc"
ask() { "$MC" --quiet "$@"; }
ask alias set local "$ENDPOINT" "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"
sample data
ask mirror data "local/$AT/data"
ask mirror "local/$AT/data" back
diff -r data back
rm data/deep/medium
ask mirror --remove data "local/$AT/data"
ask mirror --remove "local/$AT/data" back
diff -r data back
ask cp "$MEDIUM" "local/$AT/medium"
ask cp --disable-multipart "$SMALL" "local/$AT/small"
ask cp --checksum SHA256 "$SMALL" "local/$AT/sha256"
ask cp --checksum CRC64NVME "$SMALL" "local/$AT/crc64nvme"
ask pipe "local/$AT/piped" <"$SMALL"
ask cat "local/$AT/medium" >"$GOT/medium"
link=$(ask share download --expire 10m "local/$AT/small" | sed -n 's/^Share: //p')
curl --silent --show-error --fail --output "$GOT/small" "$link"
refused 403 SignatureDoesNotMatch --request PUT --data-binary other "$link"
# `alias set` sends only a HEAD, whose response has no body, so the first command that reads or writes shows the error.
wrong='signature we calculated does not match\|SignatureDoesNotMatch'
unknown='Access Key Id you provided does not exist\|InvalidAccessKeyId'
export MC_HOST_wrong="http://$AWS_ACCESS_KEY_ID:another-secret-of-32-characters_@$HOST"
export MC_HOST_unknown="http://SGNOBODY:$AWS_SECRET_ACCESS_KEY@$HOST"
says "$wrong" ask ls "wrong/$AT/"
says "$wrong" ask cp --disable-multipart "$SMALL" "wrong/$AT/refused"
says "$unknown" ask ls "unknown/$AT/"
says "$unknown" ask cp --disable-multipart "$SMALL" "unknown/$AT/refused"
echo done
