# s5cmd: syncs both ways, and presigns.
. "${0%/*}/lib.sh"
ask() { s5cmd --endpoint-url "$ENDPOINT" --retry-count 0 "$@"; }
sample data
ask sync data/ "s3://$AT/data/"
ask sync "s3://$AT/data/*" back/
diff -r data back
ask cp --part-size 5 "$MEDIUM" "s3://$AT/medium"
ask cat "s3://$AT/medium" >"$GOT/medium"
ask pipe "s3://$AT/piped" <"$SMALL"
link=$(ask presign --expire 10m "s3://$AT/piped")
curl --silent --show-error --fail --output "$GOT/small" "$link"
refused 403 SignatureDoesNotMatch --request DELETE "$link"
key=$AWS_SECRET_ACCESS_KEY
AWS_SECRET_ACCESS_KEY=another-secret-of-32-characters_
says SignatureDoesNotMatch ask ls "s3://$AT/"
says SignatureDoesNotMatch ask cp "$SMALL" "s3://$AT/refused"
AWS_SECRET_ACCESS_KEY=$key AWS_ACCESS_KEY_ID=SGNOBODY
says InvalidAccessKeyId ask ls "s3://$AT/"
echo done
