#!/usr/bin/env bash
# Makes the guest of tests/integration/test_camera_guest.py: Debian's kernel and, in an initramfs, v4l2loopback built
# for it with the modules that mount this machine's files read-only. Nothing is installed; a minute, once.
# usage: build.sh FOLDER    needs .ci/run's packages
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)

version=$(basename "$(find /usr/src -maxdepth 1 -name 'linux-headers-*-amd64' | sort -V | tail -n 1)")
version=${version#linux-headers-}
if [ -e "$folder/$version" ] && [ "$folder/$version" -nt "${BASH_SOURCE[0]}" ] && [ "$folder/$version" -nt "$here/init" ]; then
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"
apt-get -q download "linux-image-$version" v4l2loopback-dkms
for package in ./*.deb; do dpkg-deb -x "$package" unpacked; done

make -s -C "/usr/src/linux-headers-$version" M="$(echo "$work"/unpacked/usr/src/v4l2loopback-*)" modules
modules=unpacked/lib/modules/$version
cp unpacked/usr/src/v4l2loopback-*/v4l2loopback.ko "$modules/"
depmod -b unpacked "$version"

mkdir -p initramfs/bin initramfs/modules
cp "$(command -v busybox)" initramfs/bin/
install -m 755 "$here/init" initramfs/init
number=100
for name in virtio_pci 9pnet_virtio 9p v4l2loopback; do
    while read -r _ file _; do
        number=$((number + 1))
        cp "$file" "initramfs/modules/$number-$(basename "$file")"
    done < <(modprobe -d unpacked -S "$version" --show-depends "$name" | grep '^insmod')
done
(cd initramfs && find . | cpio --quiet -o -H newc | gzip -1) > "$folder/initramfs.gz"
cp "unpacked/boot/vmlinuz-$version" "$folder/vmlinuz"
touch "$folder/$version"
