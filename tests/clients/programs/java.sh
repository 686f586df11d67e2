# The AWS SDK for Java in the version that the first argument names.
. "${0%/*}/lib.sh"
java -cp "$TOOLS/java/$1/*" "${0%/*}/AwsSdk.java" "$1" 2>said || { cat said >&2; exit 1; }
