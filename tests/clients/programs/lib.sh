# Functions that the scripts of programs share. BASE is the URL of the program's own folder, SITE is the URL of the same
# folder on a listener that serves it as a static host. SMALL and MEDIUM are files to send. Files that the program reads
# back go into the folder GOT.
set -eu

# store FILE NAME [TYPE]: stores a file with curl.
store() {
    curl --silent --show-error --fail --output /dev/null -T "$1" -H "Content-Type: ${3:-application/octet-stream}" "$BASE$2"
}

# publish FOLDER: stores all files of a folder under their paths in it. No path may need escapes.
publish() {
    (cd "$1" && find . -type f) | sed 's#^\./##' | while read -r path; do
        case $path in
        *.html) store "$1/$path" "$path" text/html ;;
        *.css) store "$1/$path" "$path" text/css ;;
        *.js) store "$1/$path" "$path" text/javascript ;;
        *) store "$1/$path" "$path" ;;
        esac
    done
}

sha256() { sha256sum "$1" | cut -d ' ' -f 1; }

# Debian's AWS CLI, which needs the Python that has Debian's modules.
aws() { PATH=/usr/bin:/bin AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=anyanyany /usr/bin/aws "$@"; }
