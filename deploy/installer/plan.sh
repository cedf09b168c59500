# Every step says whether it is needed, what it would do, and does it: needs_X, say_X, do_X. The plan is those
# that are needed; what is said and what is done are the same list.

steps=()

make_plan() {
  local name
  for name in "$@"; do
    if "needs_$name"; then steps+=("$name"); fi
  done
}

say_machine() {
  say "This machine: ${board:+$board, }${os_name}, $architecture, Python $python_version, glibc $glibc, $free_mib MiB free${coral:+, a Coral on $coral}"
}

say_plan() {
  local name
  for name in "${steps[@]}"; do
    "say_$name" | sed '1s/^/- /; 1!s/^\([^ ]\)/- \1/; s/^ /    /'
  done
}

# Says, asks, does; an interrupted or failed step undoes those before it.
carry_out() {
  local name
  if [ ${#steps[@]} -eq 0 ]; then
    say "Nothing to do: $1"
    return
  fi
  say "It will"
  say_plan
  [ "$dry_run" = no ] || exit 0
  confirm
  restart_after_undoing
  for name in "${steps[@]}"; do "do_$name"; done
  settle
  keep_all
}
