# Functions that the scripts of local access keys share.
set -eu
HOST=${ENDPOINT#*://}
AT="tmp/${PREFIX%/}"

# refused STATUS CODE CURL-ARGUMENTS: sends a request with curl that must be refused with this status and S3 code.
refused() {
    status=$1 code=$2
    shift 2
    found=$(curl --silent --output refusal --write-out '%{http_code}' "$@")
    if [ "$found" != "$status" ] || ! grep -q "<Code>$code</Code>" refusal; then
        echo "expected $status $code, found $found:" >&2
        cat refusal >&2
        exit 1
    fi
}

# says TEXT COMMAND: runs a command that must fail and show this text.
says() {
    wanted=$1
    shift
    if "$@" >said 2>&1; then
        echo "succeeded, but must fail: $*" >&2
        exit 1
    fi
    grep -q "$wanted" said || { echo "expected $wanted of $*, found:" >&2; cat said >&2; exit 1; }
}

# sample FOLDER: makes a folder of files to mirror.
sample() {
    mkdir -p "$1/deep"
    cp "$SMALL" "$1/a small + file"
    cp "$SMALL" "$1/deep/größe"
    cp "$MEDIUM" "$1/deep/medium"
}
