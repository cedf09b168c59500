# Reads this machine; changes nothing. $SHOAL_MACHINE is another root to read files below, for trying out what
# the installer would do elsewhere; what commands tell is then told by those first in $PATH.

machine=${SHOAL_MACHINE-}

read_machine() {
  os_name=$(os_value PRETTY_NAME)
  board=$(tr -d '\0' 2>/dev/null < "$machine/proc/device-tree/model") || board=""
  architecture=$(dpkg --print-architecture 2>/dev/null) || architecture=""
  kernel=$(uname -m)
  python=$(command -v python3) || python=""
  python_version=$(own_python -c 'import sys; print("%d.%d" % sys.version_info[:2])') || python_version=""
  glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || glibc=""
  glibc=${glibc#glibc }
  free_mib=$(df --output=avail -BM "$(place_for_releases)" 2>/dev/null | tail -n 1 | tr -dc 0-9)
  read_cameras
  coral=$(coral_kind)
}

place_for_releases() {
  local place
  for place in /opt/shoal /opt /; do
    [ ! -d "$machine$place" ] || { printf %s "$machine$place" && return; }
  done
}

os_value() { sed -n "s/^$1=//p" "$machine/etc/os-release" 2>/dev/null | tr -d '"' | head -n 1; }

# The distribution's Python, whatever is first in a person's path: its system packages are picamera2's.
own_python() {
  [ -n "$machine" ] || { [ ! -x /usr/bin/python3 ] || python=/usr/bin/python3; }
  [ -n "$python" ] && "$python" "$@" 2>/dev/null
}

# The kernel's drivers: unicam and rp1-cfe receive CSI cameras, and exist once one was found at the boot.
read_cameras() {
  local folder name
  has_csi=no has_webcam=no
  for folder in "$machine"/sys/class/video4linux/video*; do
    name=$(cat "$folder/name" 2>/dev/null) || continue
    case $name in unicam* | rp1-cfe*) has_csi=yes ;; esac
    case $(readlink "$folder/device/driver") in */uvcvideo) has_webcam=yes ;; esac
  done
}

# A stick is Global Unichip's until its firmware is loaded, and Google's from then on.
coral_kind() {
  local file
  for file in "$machine"/sys/bus/usb/devices/*/idVendor; do
    case $(cat "$file" 2>/dev/null):$(cat "${file%Vendor}Product" 2>/dev/null) in
      1a6e:089a | 18d1:9302) printf usb && return ;;
    esac
  done
  [ ! -e "$machine/dev/apex_0" ] || printf pcie
}

# Why nothing can be installed here, in one sentence; nothing where it can.
machine_refusal() {
  local name=${os_name:-this system}
  if [ -z "$architecture" ]; then
    printf '%s' "$name is no Debian: Shoal installs on Debian 12 or newer and on Raspberry Pi OS bookworm or newer"
  elif [ ! -d "$machine/run/systemd/system" ]; then
    printf '%s' "systemd does not run here, and Shoal is a service of it: boot $name with systemd, or run shoal-agent by hand"
  elif [ -z "$python_version" ] || ! at_least "$python_version" 3.11; then
    printf '%s' "$name has Python ${python_version:-none at all}, and Shoal needs 3.11 or newer: Debian 12, Raspberry Pi OS bookworm"
  elif ! at_least "${glibc:-0}" 2.34; then
    printf '%s' "$name has glibc ${glibc:-of no known version}, and the runtimes need 2.34 or newer: Debian 12, Raspberry Pi OS bookworm"
  fi
}

at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }
