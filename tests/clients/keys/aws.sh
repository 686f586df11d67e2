# `aws s3` and `aws s3api` of the AWS CLI that the first argument names.
. "${0%/*}/lib.sh"
aws() {
    # Debian's needs the Python that has Debian's modules.
    case $CLI in /usr/bin/*) PATH=/usr/bin:/bin "$CLI" --endpoint-url "$ENDPOINT" "$@" ;;
    *) command aws --endpoint-url "$ENDPOINT" "$@" ;; esac
}
CLI=$1
sample data
aws s3 sync --no-progress data "s3://$AT/data"
aws s3 sync --no-progress "s3://$AT/data" back
diff -r data back
rm data/deep/medium
aws s3 sync --no-progress --delete data "s3://$AT/data"
aws s3 sync --no-progress --delete "s3://$AT/data" back
diff -r data back
for algorithm in SHA256 SHA1 CRC32; do
    aws s3api put-object --bucket tmp --key "$PREFIX$algorithm" --body "$MEDIUM" --checksum-algorithm "$algorithm" >put
    grep -q "Checksum$algorithm" put
done
aws s3api get-object --bucket tmp --key "${PREFIX}SHA256" --checksum-mode ENABLED "$GOT/medium" >got
grep -q ChecksumSHA256 got
aws s3 cp --no-progress - "s3://$AT/streamed" <"$SMALL"
aws s3 cp --no-progress "s3://$AT/streamed" - >"$GOT/small"
AWS_SECRET_ACCESS_KEY=another-secret-of-32-characters_
says SignatureDoesNotMatch aws s3 ls "s3://$AT/"
says SignatureDoesNotMatch aws s3 cp --no-progress "$SMALL" "s3://$AT/refused"
AWS_ACCESS_KEY_ID=SGNOBODY
says InvalidAccessKeyId aws s3 ls "s3://$AT/"
says InvalidAccessKeyId aws s3 cp --no-progress "$SMALL" "s3://$AT/refused"
echo done
