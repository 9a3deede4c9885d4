#!/bin/busybox sh
# First program of the guest: loads the modules, mounts the host's files read-only with a layer in
# memory above them, and runs /job in there. Its exit status goes to the console as a line.
busybox=/bin/busybox
for folder in proc sys dev host layer root; do $busybox mkdir -p /$folder; done
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sys /sys
$busybox mount -t devtmpfs dev /dev
while read -r module; do $busybox insmod "/modules/$module"; done < /modules/order
$busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=1048576,cache=loose,ro root /host
$busybox mount -t tmpfs tmpfs /layer
$busybox mkdir /layer/upper /layer/work
$busybox mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work root /root
for folder in proc sys dev; do $busybox mount --move /$folder /root/$folder; done
$busybox mount -t tmpfs tmpfs /root/run
$busybox ip link set lo up
$busybox cp /job /root/run/job
echo guest-start
HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin $busybox chroot /root /bin/sh /run/job
echo "guest-exit: $?"
$busybox poweroff -f
