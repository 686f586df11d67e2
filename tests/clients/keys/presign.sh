# `aws s3 presign` of the AWS CLI that the first argument names, with URLs used by curl.
. "${0%/*}/lib.sh"
aws() {
    # Debian's needs the Python that has Debian's modules.
    case $CLI in /usr/bin/*) PATH=/usr/bin:/bin "$CLI" --endpoint-url "$ENDPOINT" "$@" ;;
    *) command aws --endpoint-url "$ENDPOINT" "$@" ;; esac
}
CLI=$1
aws configure set default.s3.signature_version s3v4
aws s3 cp --no-progress "$SMALL" "s3://$AT/a small + file"
aws s3 cp --no-progress "$MEDIUM" "s3://$AT/medium"
url=$(aws s3 presign "s3://$AT/a small + file" --expires-in 600)
curl --silent --show-error --fail --output "$GOT/small" "$url"
curl --silent --show-error --fail --output "$GOT/medium" "$(aws s3 presign "s3://$AT/medium")"
[ "$(curl --silent --fail --range 2-4 "$url" | wc -c)" = 3 ]

# The URL holds for its method, its key and its parameters only.
refused 403 SignatureDoesNotMatch --request PUT --data-binary other "$url"
refused 403 SignatureDoesNotMatch --request DELETE "$url"
refused 403 SignatureDoesNotMatch "$(echo "$url" | sed 's#/a%20small#/another%20small#')"
refused 403 SignatureDoesNotMatch "$url&response-content-type=text%2Fhtml"
refused 403 SignatureDoesNotMatch "$(echo "$url" | sed 's/X-Amz-Expires=600/X-Amz-Expires=6000/')"
refused 403 SignatureDoesNotMatch "$(AWS_SECRET_ACCESS_KEY=another-secret-of-32-characters_ aws s3 presign "s3://$AT/medium")"
refused 403 InvalidAccessKeyId "$(AWS_ACCESS_KEY_ID=SGNOBODY aws s3 presign "s3://$AT/medium")"
refused 403 AccessDenied "$(aws s3 presign s3://tmp/outside)"
cmp "$SMALL" "$GOT/small"
[ "$(curl --silent --fail "$url" | sha256sum)" = "$(sha256sum <"$SMALL")" ]

# A URL for one second expires.
short=$(aws s3 presign "s3://$AT/medium" --expires-in 1)
while curl --silent --fail --output /dev/null "$short"; do :; done
refused 403 AccessDenied "$short"
grep -qi expired refusal || { cat refusal >&2; exit 1; }
echo done
