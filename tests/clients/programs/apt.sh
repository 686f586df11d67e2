# apt: a repository of one package, without its optional files.
. "${0%/*}/lib.sh"
mkdir -p package/DEBIAN package/demo repository/stable state/lists/partial cache/archives/partial
printf 'Package: demo-x\nVersion: 1.0+b1~1\nArchitecture: all\nMaintainer: A <a@example.test>\nDescription: x\n' \
    >package/DEBIAN/control
cp "$MEDIUM" package/demo/medium
dpkg-deb -Znone --build package 'repository/stable/demo-x_1.0+b1~1_all.deb' >build.log
package='stable/demo-x_1.0+b1~1_all.deb'
{
    cat package/DEBIAN/control
    printf 'Filename: %s\nSize: %s\nSHA256: %s\n' "$package" "$(stat -c %s "repository/$package")" "$(sha256 "repository/$package")"
} >repository/stable/Packages
publish repository
: >status
printf 'deb [trusted=yes] %s stable/\n' "$BASE" >sources
ask() {
    apt-get -qq -o Dir::Etc::sourcelist="$PWD/sources" -o Dir::Etc::sourceparts=/dev/null -o Dir::State="$PWD/state" \
        -o Dir::State::status="$PWD/status" -o Dir::Cache="$PWD/cache" -o APT::Sandbox::User="$(id -un)" "$@"
}
ask update
# The second update sends a condition.
ask update
ask download demo-x
dpkg-deb -x demo-x_*.deb unpacked
cp unpacked/demo/medium "$GOT"
echo done
