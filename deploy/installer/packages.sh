# Packages of the distribution. Those that were brought are written down, so that they go with the rest.

have_package() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q ' installed$'; }

# Offline pip comes out of the folder of wheels, so that python3-venv is not needed.
wanted_packages() {
  { [ -n "$wheels" ] || own_python -c 'import ensurepip'; } || printf 'python3-venv\n'
  [ "$chosen_camera" != csi ] || printf 'python3-picamera2\n'
  ! claims_identity || printf 'openssl\n'
}

missing_packages() {
  local name
  wanted_packages | while read -r name; do have_package "$name" || printf '%s ' "$name"; done
}

needs_packages() {
  [ -n "$packages" ] || return 1
  [ -z "$wheels" ] || fail "without internet these must be there already: apt install $packages"
}

say_packages() { say "install packages of $os_name: $packages"; }

do_packages() {
  # shellcheck disable=SC2086 # a list
  bring_packages $packages
}

# Through apt-get, with what they bring along, and noted.
bring_packages() {
  local before=$staging/packages.before log=$staging/apt.log name
  installed_packages > "$before"
  undo_with remove_since "$before"
  apt_get "$@" > "$log" 2>&1 || { apt-get update -qq > "$log" 2>&1 && apt_get "$@" > "$log" 2>&1; } \
    || fail "apt-get install $* failed: $(tail -n 1 "$log")"
  while read -r name; do note package "$name"; done < <(installed_packages | comm -13 "$before" -)
}

apt_get() { DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"; }

installed_packages() { dpkg-query -W -f '${Package} ${Status}\n' | sed -n 's/ install ok installed$//p' | sort -u; }

remove_since() {
  # shellcheck disable=SC2046 # a list
  DEBIAN_FRONTEND=noninteractive apt-get purge -qq -y $(installed_packages | comm -13 "$1" -)
}

needs_edgetpu() {
  [ -n "$edgetpu" ] || return 1
  edgetpu_package=$(dpkg-deb -f "$edgetpu" Package 2>/dev/null) || fail "--edgetpu $edgetpu is no Debian package"
  case $edgetpu_package in libedgetpu*) ;; *) fail "--edgetpu $edgetpu is the package $edgetpu_package, and none of libedgetpu" ;; esac
  [ "$(dpkg-query -W -f '${Version}' "$edgetpu_package" 2>/dev/null)" != "$(dpkg-deb -f "$edgetpu" Version)" ]
}

say_edgetpu() { say "install $edgetpu_package $(dpkg-deb -f "$edgetpu" Version), for the Coral accelerator"; }

do_edgetpu() { bring_packages "$edgetpu"; }
