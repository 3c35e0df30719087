#!/usr/bin/env bash
# A machine whose process 1 is systemd, in namespaces of its own, for the tests of this folder.
#
#   machine.sh FOLDER SOURCES BUILD
#
# It has this system's /usr (never written), our programs in /usr/bin, the units of packaging/systemd, a user `anna`, and its own
# /etc, /run, /var, /tmp and processes. It shares the network, so that a coordinator on 127.0.0.1 is found, and may not change it.
# What could reach past it is read-only or hidden: /sys, /proc/sys, devices; its sleep is a program that does nothing.
# FOLDER/console gets what its process 1 says.
#
# On descriptor 3 comes the process id of its process 1 as seen from outside. The machine runs until this script gets SIGTERM, or
# dies; the descriptor is closed when all of it is gone.
set -euo pipefail
umask 022 # its users read what root makes, whatever the tests' user is used to
folder=$1 sources=$2 build=$3 part=${4:-outside}
groups=()

# This shell leaves them first. What was killed in them takes a moment to be gone. Whoever ends a whole process group, as a terminal
# does, ends this shell several times: the later signals must not cut it short.
remove_groups() {
  local group
  trap '' HUP INT TERM
  for group in "${groups[@]}"; do
    { echo 0 >"${group%/*}/cgroup.procs"; } 2>/dev/null || true
    for _ in {1..100}; do
      find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
      sleep 0.02
    done
  done
}

# A group of its own in each hierarchy, so that what systemd makes lies in it. Where one is refused the machine does without.
enter_groups() {
  local memberships controllers group base
  mapfile -t memberships </proc/self/cgroup
  while IFS=: read -r _ controllers group; do
    case $controllers in
      # Below the root, for deeper the controllers end where others have processes.
      '') base=$(findmnt -n -t cgroup2 -o TARGET | head -n 1) group='' ;;
      *) base=/sys/fs/cgroup/${controllers#name=} ;;
    esac
    group=$base${group%/}/fallow-test-$$
    if [ -z "$base" ] || ! mkdir "$group" 2>/dev/null; then continue; fi
    groups+=("$group")
    if [ -e "$group/cpuset.cpus" ] && [ "$controllers" = cpuset ]; then
      cat "${group%/*}/cpuset.cpus" >"$group/cpuset.cpus"
      cat "${group%/*}/cpuset.mems" >"$group/cpuset.mems"
    fi
    { echo 0 >"$group/cgroup.procs"; } 2>/dev/null || true
  done < <(printf '%s\n' "${memberships[@]}")
}

outside() {
  trap remove_groups EXIT
  enter_groups
  setpriv --pdeathsig KILL unshare --mount --propagation private --pid --fork --kill-child=KILL --cgroup --uts --ipc \
    bash "$0" "$folder" "$sources" "$build" inside &
  trap 'kill -KILL $! 2>/dev/null || true' TERM
  wait $! || true
}

mount_system() {
  mkdir usr etc run tmp var proc sys dev root home .over .over/programs .over/programs/bin .over/work .outside
  cp "$build"/bin/fallow-{agent,session,worker} .over/programs/bin/
  mount -t overlay -o "lowerdir=/usr,upperdir=$PWD/.over/programs,workdir=$PWD/.over/work" overlay usr
  ln -s usr/bin usr/sbin usr/lib usr/lib64 .
  chmod 1777 tmp
  mount -t tmpfs -o mode=755 tmpfs run
  # The tests themselves, to be run inside; /tmp alone would hide a build there.
  mkdir -p ".$build"
  mount --bind "$build" ".$build"
  mount -o remount,bind,ro ".$build"
}

mount_kernel_files() {
  mount -t proc proc proc
  mount --bind proc/sys proc/sys
  mount -o remount,bind,ro proc/sys
  mount -t tmpfs -o mode=755 tmpfs sys
  mkdir .sys
  mount -t sysfs -o ro sysfs .sys
  local part
  for part in .sys/*; do
    mkdir "sys/${part#.sys/}"
    mount --bind "$part" "sys/${part#.sys/}"
  done
  umount .sys
  rmdir .sys
  # Without consoles, so that seats are alike on any system.
  [ ! -d sys/class/tty ] || mount -t tmpfs -o mode=755 tmpfs sys/class/tty
  # A kernel that offers sleep, on any machine: these files are nobody's.
  mkdir -p sys/power
  mount -t tmpfs -o mode=755 tmpfs sys/power
  echo 'freeze mem' >sys/power/state
  echo '[s2idle]' >sys/power/mem_sleep
  mount -o remount,ro sys # with which udev is not started
}

mount_devices() {
  mount -t tmpfs -o mode=755 tmpfs dev
  local name
  for name in null zero full random urandom tty; do
    touch "dev/$name"
    mount --bind "/dev/$name" "dev/$name"
  done
  mkdir dev/pts dev/shm
  mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
  mount -t tmpfs -o mode=1777 tmpfs dev/shm
  ln -s pts/ptmx dev/ptmx
  ln -s /proc/self/fd dev/fd
}

write_settings() {
  mkdir -p etc/systemd/system/systemd-suspend.service.d etc/systemd/user etc/sysusers.d etc/pam.d home/anna
  chown 1000:1000 home/anna
  cat >etc/passwd <<'END'
root:x:0:0::/root:/bin/bash
messagebus:x:100:100::/nonexistent:/usr/sbin/nologin
anna:x:1000:1000::/home/anna:/bin/bash
nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin
END
  printf '%s\n' root:x:0: tty:x:5: messagebus:x:100: anna:x:1000: nogroup:x:65534: >etc/group
  printf '%s\n' 'passwd: files' 'group: files' >etc/nsswitch.conf
  echo '127.0.0.1 localhost' >etc/hosts
  : >etc/machine-id
  # A login is whatever asks for one by this name.
  printf '%s\n' 'account required pam_permit.so' 'session required pam_systemd.so' | tee etc/pam.d/login >etc/pam.d/systemd-user
  printf '%s\n' 'auth sufficient pam_rootok.so' 'account required pam_permit.so' 'session required pam_permit.so' >etc/pam.d/runuser
  cp "$sources"/packaging/systemd/fallow{-agent.service,.slice} etc/systemd/system/
  cp "$sources"/packaging/systemd/fallow-session.service etc/systemd/user/
  cp "$sources"/packaging/systemd/fallow.sysusers etc/sysusers.d/fallow.conf
  printf '[Service]\nExecStart=\nExecStart=/bin/true\n' >etc/systemd/system/systemd-suspend.service.d/nothing.conf
  # A test looks at what logind does while it waits for us.
  printf '[Login]\nInhibitDelayMaxSec=60\n' >etc/systemd/logind.conf
  cat >etc/systemd/system/machine.target <<'END'
[Unit]
Requires=basic.target
Wants=dbus.service systemd-logind.service systemd-user-sessions.service
After=basic.target dbus.service systemd-logind.service systemd-user-sessions.service
END
}

inside() {
  exec >"$folder/console" 2>&1 </dev/null
  mkdir "$folder/root"
  mount -t tmpfs -o mode=755,size=256m tmpfs "$folder/root"
  cd "$folder/root"
  mount_system
  mount_kernel_files
  mount_devices
  write_settings
  hostname fallow-machine
  # The id that the tests know us by: /proc is still the outer one.
  local process_id
  read -r process_id _ </proc/self/stat
  pivot_root . .outside
  umount -l .outside
  rmdir .outside
  echo "$process_id" >&3
  exec 3>&-
  exec env -i container=fallow PATH=/usr/sbin:/usr/bin \
    setpriv --bounding-set=-sys_module,-sys_rawio,-sys_time,-sys_boot,-syslog,-net_admin,-mknod,-bpf,-audit_control,-audit_read,-audit_write \
    /lib/systemd/systemd --unit=machine.target --log-target=console --show-status=no
}

"$part"
