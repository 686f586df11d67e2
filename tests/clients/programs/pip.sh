# pip: an index (PEP 503) in a scope with index pages, and the links in the list of a folder.
. "${0%/*}/lib.sh"
wheel=demo_x-1.0-py3-none-any.whl
python3 - "$SMALL" "$wheel" <<'PYTHON'
import sys, zipfile
with zipfile.ZipFile(sys.argv[2], "w") as wheel:
    wheel.write(sys.argv[1], "demo_x/small")
    info = "demo_x-1.0.dist-info/"
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: demo-x\nVersion: 1.0\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(info + "RECORD", "")
PYTHON
mkdir -p published/simple/demo-x published/wheels
printf '<!DOCTYPE html>\n<a href="../../wheels/%s#sha256=%s">%s</a>\n' "$wheel" "$(sha256 "$wheel")" "$wheel" \
    >published/simple/demo-x/index.html
mv "$wheel" published/wheels/
publish published
install() {
    rm -rf target
    python3 -m pip install --quiet --no-cache-dir --disable-pip-version-check --target target "$@" demo-x
}
install --index-url "${SITE}simple"
cmp target/demo_x/small "$SMALL"
install --no-index --find-links "${BASE}wheels/"
cp target/demo_x/small "$GOT"
echo done
