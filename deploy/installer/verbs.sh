# What a person asks for, each from reading to the last word.

packaged=/usr/lib/shoal

verb_help() { usage; }

need_root() { [ "$(id -u)" -eq 0 ] || [ "$dry_run" = yes ] || fail "$verb needs root: sudo $0 ..."; }

need_possible_machine() {
  local refusal
  read_machine
  refusal=$(machine_refusal)
  [ -z "$refusal" ] || fail "$refusal"
}

# Of a Debian package, dpkg installs, upgrades and removes; only the settings are ours.
need_own_installation() {
  [ -z "$(release_at $current)" ] || return 0
  [ ! -x $packaged/bin/shoal-agent ] || fail "the Debian package shoal is installed: use $1"
}

decide() {
  choose_runtime
  choose_fleet
  choose_camera
  choose_extras
  choose_isolation
}

verb_install() {
  need_root
  need_possible_machine
  need_own_installation "apt to upgrade it, and shoal-setup for its settings"
  decide
  read_source
  stage
  prepare_settings
  packages=$(missing_packages)
  make_plan packages edgetpu files release switch fleet settings start
  enough_room
  say_machine
  carry_out "$release is installed and runs."
  finish_install
}

# An environment takes 250 MiB, and the one before it stays.
enough_room() {
  case " ${steps[*]-} " in *" release "*) ;; *) return 0 ;; esac
  [ "${free_mib:-0}" -ge 600 ] || fail "$free_mib MiB are free, and it needs 600 to install beside what is there"
}

finish_install() {
  prune_releases
  if ! configured; then
    say "Installed, and waiting to be told its fleet: $0 configure --broker mqtt://host:port, or --config PATH"
  elif [ ${#steps[@]} -gt 0 ]; then
    say_prediction
    say_what_next
  fi
}

verb_configure() {
  need_root
  need_possible_machine
  settings_given || fail "configure what? --broker mqtt://host:port, or --config PATH; --help shows all settings"
  place_of_program
  runtime=auto decide
  stage
  prepare_settings
  make_plan fleet settings start
  carry_out "these are its settings, and it runs."
  say_prediction
  say_what_next
}

place_of_program() {
  [ -z "$(release_at $current)" ] || return 0
  [ -x $packaged/bin/shoal-agent ] || fail "Shoal is not installed here: $0 install"
  current=$packaged agent=$packaged/bin/shoal-agent
}

verb_rollback() {
  need_root
  need_own_installation "apt install ./shoal_VERSION.deb of the version before"
  release=$(release_at $previous)
  [ ! -e $switching ] || release=$(settled)
  [ -n "$release" ] || fail "there is no version before this one to go back to"
  choose_fleet
  stage
  steps=(switch start)
  carry_out ""
  say "$release runs; $(release_at $previous) is kept"
}

verb_uninstall() {
  need_root
  need_own_installation "apt purge shoal"
  stage
  make_plan stop clear forget brought
  carry_out "$(kept_or_nothing)"
  if [ ${#steps[@]} -gt 0 ]; then say "Gone.$([ ! -e $state ] || printf ' The models are in %s.' $state)"; fi
}

kept_or_nothing() {
  if [ -e $state ]; then
    printf 'Shoal is not installed here; models are kept in %s, which uninstall --purge deletes.' $state
  else
    printf 'Shoal is not installed here.'
  fi
}

verb_status() {
  need_own_installation "systemctl status shoal-agent"
  local release
  release=$(release_at $current)
  [ -n "$release" ] || { kept_or_nothing && printf '\n' && return 1; }
  say "release   $release$(active $service || printf ', which does not run')"
  say "before    $(release_at $previous || true)"
  say "device    $(present_id) at $(setting url)"
  say "service   $(shown ActiveState), $(shown StatusText)"
}

# A look at it, in a folder that goes again.
verb_try() {
  need_own_installation "shoal-agent demo"
  read_machine
  [ -n "$python_version" ] && at_least "$python_version" 3.11 || fail "Shoal needs Python 3.11 or newer, and here is ${python_version:-none}"
  stage
  own_fleet=no operator=no
  choose_runtime
  choose_camera
  choose_extras
  choose_isolation
  packages=$(missing_packages)
  [ -z "$packages" ] || fail "a look at it installs nothing, and needs what is not here: sudo apt install $packages"
  [ -n "$from" ] || from=$(default_source)
  say "Preparing an environment in $staging, which is deleted at the end"
  make_environment "$staging/look"
  install_into "$staging/look"
  "$staging/look/bin/shoal-agent" demo
}
