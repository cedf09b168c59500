# What was begun is undone, the last first, when a step fails or is interrupted.

undos=()

undo_with() { undos+=("$(printf '%q ' "$@")"); }

# A folder that will be made by whoever, with those above it: gone again unless somebody else uses it too.
will_make() {
  [ -d "$1" ] || { will_make "$(dirname "$1")" && undo_with rmdir --ignore-fail-on-non-empty "$1"; }
}

keep_all() { undos=(); }

undo_all() {
  local index status=$?
  trap - EXIT INT TERM HUP
  set +e
  [ ${#undos[@]} -eq 0 ] || printf 'install.sh: undoing what was begun\n' >&2
  for ((index = ${#undos[@]} - 1; index >= 0; index--)); do
    eval "${undos[index]}" > /dev/null 2>&1
  done
  [ -z "${staging-}" ] || rm -rf "$staging"
  exit "$status"
}

# A folder for what is being prepared, which goes whatever happens. Not in /tmp, which may be memory.
stage() {
  [ "$(id -u)" -ne 0 ] || [ "$verb" = try ] || alone
  staging=$(mktemp -d -p "${TMPDIR:-/var/tmp}" "shoal-$verb.XXXXXX")
  export TMPDIR=$staging
  trap undo_all EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

# One run at a time, and what one that was killed had begun (pip goes on without it). What it left goes.
alone() {
  exec {only_one}> /run/lock/shoal-install.lock
  flock --nonblock "$only_one" || fail "another run of it is under way, or pip of one that was killed: wait until it ends"
  rm -rf "${TMPDIR:-/var/tmp}"/shoal-{install,configure,rollback,uninstall}.??????
}
