# What was begun is undone, the last first, when a step fails or is interrupted.

undos=()

undo_with() { undos+=("$(printf '%q ' "$@")"); }

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

# A folder for what is being prepared, which goes whatever happens.
stage() {
  staging=$(mktemp -d)
  export TMPDIR=$staging
  trap undo_all EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}
