# Users, groups, devices, units: where they stand, and putting them there.

opt=/opt/shoal
etc=/etc/shoal
credstore=/etc/credstore
state=/var/lib/shoal
notes=$opt/notes
units=/etc/systemd/system

# Source, and place. The controller's only where this machine is a fleet of its own.
system_files() {
  printf '%s\n' \
    "shoal-agent.service $units/shoal-agent.service" \
    "71-shoal-coral.rules /etc/udev/rules.d/71-shoal-coral.rules" \
    "shoal.sysusers /usr/lib/sysusers.d/shoal.conf" \
    "shoal.tmpfiles /usr/lib/tmpfiles.d/shoal.conf"
  [ "$own_fleet" = no ] || printf '%s\n' \
    "shoal-serve.service $units/shoal-serve.service" \
    "shoal-serve.sysusers /usr/lib/sysusers.d/shoal-serve.conf"
}

needs_files() {
  local source place
  while read -r source place; do
    cmp -s "$here/../systemd/$source" "$place" || return 0
  done < <(system_files)
  return 1
}

say_files() {
  say "make the user shoal, and the rights to cameras and accelerators"
  say "put the service shoal-agent into $units"
}

do_files() {
  local source place
  note_groups
  [ -e $state ] || undo_with rm -rf $state
  [ -e $etc ] || undo_with rm -rf $etc
  will_make $credstore
  while read -r source place; do
    put "$here/../systemd/$source" "$place" 0644 root:root
  done < <(system_files)
  [ -e "$credstore" ] || note folder "$credstore"
  # On an upgrade the version that goes on needs them.
  getent passwd shoal > /dev/null || undo_with remove_users
  systemd-sysusers
  systemd-tmpfiles --create shoal.conf
  own_again
  tell_udev
  systemctl daemon-reload
}

# What an earlier installation kept belongs to nobody by now.
own_again() {
  chown -R shoal:shoal "$state"
  chown -R root:shoal "$etc"
  [ ! -d "$fleet_home" ] || chown -R shoal-serve:shoal-serve "$fleet_home"
}

# What is plugged in already gets its rights now; where no udev runs, nothing is plugged in.
tell_udev() {
  udevadm control --reload 2> /dev/null || return 0
  udevadm trigger --subsystem-match=usb --subsystem-match=apex 2> /dev/null || true
}

# One file, whole or not at all; what was there comes back when a later step fails.
put() {
  local source=$1 place=$2 mode=$3 owner=$4 kept
  cmp -s "$source" "$place" && return
  if [ -e "$place" ]; then
    kept=$(mktemp "$staging/kept.XXXXXX") && cp -p "$place" "$kept" && undo_with cp -p "$kept" "$place"
  else
    undo_with rm -f "$place"
  fi
  will_make "$(dirname "$place")"
  mkdir -p "$(dirname "$place")"
  install -m "$mode" -o "${owner%:*}" -g "${owner#*:}" "$source" "$place.new"
  mv -f "$place.new" "$place"
}

# What is not ours by its name but came with us: a line each, of a kind and a name.
note() {
  will_make "$opt"
  mkdir -p "$opt"
  [ -e "$notes" ] || undo_with rm -f "$notes"
  grep -qsxF "$1 $2" "$notes" || printf '%s %s\n' "$1" "$2" >> "$notes"
}

noted() { sed -n "s/^$1 //p" "$notes" 2>/dev/null || true; }

note_groups() {
  local group
  for group in video render plugdev apex; do
    getent group $group > /dev/null || note group $group
  done
  getent passwd shoal > /dev/null || note group shoal
}

# The users, and the groups that nobody else had.
remove_users() {
  local name
  for name in shoal shoal-serve; do
    ! getent passwd $name > /dev/null || userdel $name 2>/dev/null || true
    ! getent group $name > /dev/null || groupdel $name 2>/dev/null || true
  done
  for name in $(noted group); do
    [ -n "$(getent group "$name" | cut -d: -f4)" ] || groupdel "$name" 2>/dev/null || true
  done
}
