#!/bin/sh
# The first process of a small machine: a copy of this one's files that forgets all changes, no network but a loopback
# of its own, and systemd. Run by unshare in new namespaces of every kind; $1 is an empty folder, the others are shown.
set -e
folder=$1
shift
mount --make-rprivate /
mount -t tmpfs -o size=1g,mode=755 tmpfs "$folder"
mkdir "$folder/changes" "$folder/work" "$folder/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/changes,workdir=$folder/work" "$folder/root"
cd "$folder/root"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys # this machine's settings are none of its business
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup 2>/dev/null || :
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for each in null zero full random urandom tty; do
    : >"dev/$each"
    mount --bind "/dev/$each" "dev/$each"
done
mkdir dev/pts dev/shm old
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for each; do # the way to each is open to all
    while [ "$each" != / ]; do
        each=$(dirname "$each")
        mkdir -p "./$each"
        chmod a+x "./$each"
    done
done
for each; do # what is on a disk of its own, or below what was covered just now
    if [ "$(ls -A "$each")" != "$(ls -A "./$each" 2>/dev/null)" ]; then
        mkdir -p "./$each"
        mount --rbind "$each" "./$each"
    fi
done
rm -rf etc/systemd/system/*.wants
for each in systemd-sysctl systemd-modules-load systemd-udevd systemd-udev-trigger systemd-remount-fs; do
    ln -sf /dev/null "etc/systemd/system/$each.service"
done
for each in sys-kernel-debug sys-kernel-tracing dev-hugepages sys-fs-fuse-connections; do
    ln -sf /dev/null "etc/systemd/system/$each.mount"
done
rm -f etc/machine-id
echo 0123456789abcdef0123456789abcdef >etc/machine-id
ip link set lo up
pivot_root . old
umount -l old
mount --make-rshared /
exec env -i container=tests PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=basic.target --log-target=null --show-status=0
