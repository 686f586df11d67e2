#!/bin/sh
# Makes the root folder of the container image: image-root.sh BINARY FOLDER LICENCES
#
# It holds the program, the libraries that it needs, CA certificates for https:// endpoints, the names of its user, /tmp, and the
# licences of the program and of its crates. There is no shell and no package manager. Containerfile and `cargo xtask release` run
# this on Debian.
set -eu
binary=$1 root=$2 licences=$3
umask 022
mkdir -p "$root/usr/bin" "$root/etc/ssl/certs" "$root/etc/scopegate" "$root/tmp" "$root/dev" "$root/proc" "$root/sys"
chmod 1777 "$root/tmp"
install -m 755 "$binary" "$root/usr/bin/scopegate"
install -D -m 644 LICENSE "$root/usr/share/doc/scopegate/LICENSE"
install -m 644 "$licences" "$root/usr/share/doc/scopegate/THIRD-PARTY"
# The libraries and the loader, each at the path where it is looked for.
ldd "$binary" | grep -o '/[^ ]*' | while read -r library; do
    install -D -m 755 "$(realpath "$library")" "$root$library"
done
install -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo 'scopegate:x:65532:65532:Scopegate:/nonexistent:/nonexistent' >"$root/etc/passwd"
echo 'scopegate:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
