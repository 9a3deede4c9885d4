#!/bin/sh
# PID 1 of one machine of the test cluster. It is started in mount, UTS, IPC, network and PID
# namespaces of its own, makes a root file system out of the programs of this machine and a disk
# folder, and keeps the machine's services running. Arguments: MARKER NAME ROOT PEERS (MARKER is
# there to be found in the process list)
set -eu
name=$2 root=$3 peers=$4
hostname "$name"

mount --bind "$root" "$root"
cd "$root"
# What is installed on this machine is there, read-only; everything else is the machine's own disk.
for folder in usr bin sbin lib lib32 lib64 libx32 nix; do
  if [ -L "/$folder" ]; then
    ln -sfn "$(readlink "/$folder")" "$folder"
  elif [ -d "/$folder" ]; then
    mkdir -p "$folder"
    mount --bind "/$folder" "$folder"
    mount -o remount,bind,ro "$folder"
  fi
done
mkdir -p dev proc sys run tmp peers var/log .old
mount --rbind /dev dev
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount --bind "$peers" peers
mkdir -p run/machine run/lock run/netns
ln -sfn /run var/run
pivot_root . .old
umount -l .old
mount --make-rshared /

# The kubelet sets a few values for the whole machine. It finds them set already, in files of this
# machine's own.
for file in /etc/machine/sysctl/*; do
  [ -e "$file" ] || continue
  mount --bind "$file" "/proc/sys/$(basename "$file" | tr . /)"
done
# Each start is a boot of its own to the kubelet. (Containers have a /proc of their own and see this
# machine's number.)
cat /proc/sys/kernel/random/uuid >/run/machine/boot_id
mount --bind /run/machine/boot_id /proc/sys/kernel/random/boot_id
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
ip link set lo up

until [ -e /etc/machine/links-ready ]; do sleep 0.02; done

# A service that ends is started again, unless /run/machine/NAME.stop exists.
supervise() {
  while :; do
    if [ -e "/run/machine/$1.stop" ]; then
      sleep 0.05
      continue
    fi
    "/etc/machine/services/$1" >>"/var/log/$1.log" 2>&1 &
    echo $! >"/run/machine/$1.pid"
    wait $! || true
    sleep 0.1
  done
}

for service in /etc/machine/services/*; do supervise "$(basename "$service")" & done
while :; do
  wait
  sleep 1
done
