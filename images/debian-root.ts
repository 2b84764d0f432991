/**
 * What the Debian disk's system is: its packages, and the files that are written over those of the packages so that the
 * servers listen to the network, root can log in on the console and by ssh, and no boot differs from another.
 */

export const PACKAGES = [
  ...["systemd-sysv", "udev", "dbus", "kmod", "iproute2", "iputils-ping", "procps", "e2fsprogs"],
  ...["redis-server", "memcached", "nginx-light", "python3", "openssh-server"],
  ...["iperf3", "fio", "stress-ng"],
] as const;

/** What no program needs. Copyright files stay. */
export const EXCLUDED_PATHS = [
  "/usr/share/doc/*",
  "/usr/share/man/*",
  "/usr/share/info/*",
  "/usr/share/locale/*",
  "/usr/share/lintian/*",
] as const;
export const INCLUDED_PATHS = ["/usr/share/doc/*/copyright"] as const;

/** Root's password, on the console and by ssh: the guest is reached from this machine alone. */
export const PASSWORD = "ukl-emu";
export const HOST_NAME = "debian";

/** Ports on which the guest listens, on all its addresses. */
export const PORTS = { ssh: 22, http: 80, iperf3: 5201, redis: 6379, memcached: 11211 } as const;

/** The time stamps of the disk: 2025-01-01, at which the machine's clock starts too. */
export const EPOCH = 1_735_689_600;

export interface RootFile {
  readonly path: string;
  readonly text: string;
  readonly permissions?: number;
}

export const FILES: readonly RootFile[] = [
  { path: "etc/hostname", text: `${HOST_NAME}\n` },
  { path: "etc/hosts", text: `127.0.0.1 localhost ${HOST_NAME}\n::1 localhost\n` },
  // A system without one would take the first boot for its installation.
  { path: "etc/machine-id", text: "756b6c2d656d752064656269616e2031\n", permissions: 0o444 },
  { path: "etc/fstab", text: "/dev/vda / ext4 rw,relatime 0 0\n" },
  // The packages came from wherever the machine that made the disk has its own.
  { path: "etc/apt/sources.list", text: "" },
  // The name server of the user network, ours and QEMU's.
  { path: "etc/resolv.conf", text: "nameserver 10.0.2.3\n" },
  { path: "etc/systemd/network/20-wired.network", text: "[Match]\nName=e*\n\n[Network]\nDHCP=ipv4\n" },
  // Keys are made at the first boot, of the one kind that costs little.
  {
    path: "etc/ssh/sshd_config.d/guest.conf",
    text: "PermitRootLogin yes\nHostKey /etc/ssh/ssh_host_ed25519_key\nUseDNS no\n",
  },
  {
    path: "etc/systemd/system/ssh-host-key.service",
    text: `[Unit]
Description=Host key of the ssh server
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
Before=ssh.service

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key

[Install]
WantedBy=multi-user.target
`,
  },
  {
    path: "var/www/html/index.html",
    text: `<!doctype html>\n<title>${HOST_NAME}</title>\n<p>${"It works. ".repeat(50)}\n`,
  },
  // Uploads land in the directory that is served: PUT /upload/NAME.
  {
    path: "etc/nginx/sites-available/default",
    text: `server {
  listen ${PORTS.http} default_server;
  root /var/www/html;
  access_log off;
  location /upload/ {
    dav_methods PUT DELETE;
    client_max_body_size 0;
    client_body_temp_path /var/www/html/upload/.part;
  }
}
`,
  },
];

/** Lines that replace others in the packages' own files. */
export const REPLACEMENTS: readonly { path: string; pattern: RegExp; by: string }[] = [
  { path: "etc/redis/redis.conf", pattern: /^bind .*$/m, by: "bind * -::*" },
  { path: "etc/redis/redis.conf", pattern: /^protected-mode .*$/m, by: "protected-mode no" },
  { path: "etc/memcached.conf", pattern: /^-l .*$/m, by: "-l 0.0.0.0" },
];

/** Run in the new root by a shell. */
export const setUp = `set -e
echo 'root:${PASSWORD}' | chpasswd
install -d -o www-data -g www-data /var/www/html/upload
systemctl -q enable systemd-networkd.service ssh-host-key.service iperf3.service
# Waits for networks that a machine need not have.
systemctl -q disable systemd-networkd-wait-online.service
# Looks for leftovers on logical volumes, of which there are none.
systemctl -q disable e2scrub_reap.service e2scrub_all.timer
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /var/lib/dbus/machine-id
rm -rf /var/log/*.log /var/log/apt /var/cache/apt /var/cache/debconf/*-old /var/lib/apt/lists /var/cache/ldconfig
`;

/** Modules that the root file system needs, for any of Debian's kernels. */
export const ROOT_MODULES = ["virtio_pci", "virtio_mmio", "virtio_blk", "ext4"] as const;

/** The initial RAM disk's script: loads what the disk needs, mounts what root= names, and hands over to systemd. */
export const rootInit = (modules: readonly string[]): string => `#!/bin/busybox sh
export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev /root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev 2>/dev/null
/bin/busybox --install -s /bin
for module in ${modules.join(" ")}; do insmod /lib/modules/$module; done
root=/dev/vda
for word in $(cat /proc/cmdline); do
  case $word in
    root=*) root=\${word#root=} ;;
    init=*) init=\${word#init=} ;;
  esac
done
tries=0
while [ ! -b "$root" ] && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
if ! mount -t ext4 "$root" /root; then
  echo "initrd: cannot mount $root; disks: $(ls /sys/block)"
  poweroff -f
fi
umount /sys
umount /proc
mount -o move /dev /root/dev
exec switch_root /root "\${init:-/sbin/init}"
`;
