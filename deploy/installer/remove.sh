# Taking everything off again.

needs_stop() { [ -n "$(release_at $current)" ] || [ -e "$units/$service" ] || [ -e $opt ]; }

say_stop() { say "stop the service, and take away the program, its user and its rights to devices"; }

do_stop() {
  local source place name
  own_fleet=yes
  for name in $service $controller; do systemctl disable --quiet --now $name 2> /dev/null || true; done
  while read -r source place; do rm -f "$place"; done < <(system_files)
  for name in shoal-agent shoal; do
    [ "$(readlink "/usr/local/bin/$name")" != "$current/bin/$name" ] || rm -f "/usr/local/bin/$name" "$completions/$name"
  done
  rmdir --ignore-fail-on-non-empty "$completions" "$(dirname "$completions")" 2> /dev/null || true
  systemctl daemon-reload
  systemctl reset-failed $service $controller 2> /dev/null || true
  udevadm control --reload 2> /dev/null || true
}

needs_forget() { [ "$keep_settings" = no ] && { [ -e $etc ] || [ -d $workspace ]; }; }

say_forget() {
  say "delete its settings and secrets, $etc: a device of a fleet must be enrolled anew after that"
  [ ! -d $workspace ] || say "delete the fleet that was made here, with its signing keys: $workspace, $offline_keys"
}

do_forget() {
  rm -rf $etc "$credstore"/shoal.mqtt_password "$credstore"/shoal.seal_key "$credstore"/shoal.web_password
  rm -rf $fleet_home $offline_keys $unfinished_keys
}

needs_clear() { [ -e $state ] && { [ "$purge" = yes ] || needs_stop; }; }

say_clear() {
  if [ "$keep_models" = yes ]; then say "keep the models in $state, and nothing else of what it had"; else say "delete $state: models, and what was not sent yet"; fi
}

# Models are files named by their content, and the record that tells their names.
do_clear() {
  if [ "$keep_models" = no ]; then rm -rf $state && return; fi
  find $state -type f ! -path '*/objects/*' ! -name 'lifecycle*.json' -delete
  find $state -mindepth 1 -type d -empty -delete
  chown -R root:root $state
}

needs_brought() { [ -e $opt ]; }

say_brought() {
  local names
  names=$(noted package | paste -sd ' ')
  [ -z "$names" ] || say "remove the packages that came with it and nothing else needs: $names"
  say "delete $opt"
}

do_brought() {
  remove_users
  remove_packages
  [ -z "$(noted folder)" ] || rmdir --ignore-fail-on-non-empty "$credstore" 2> /dev/null || true
  rm -rf $opt
}

# apt-get is asked first what would go with them: a package that somebody needs meanwhile stays.
remove_packages() {
  local names would
  names=$(noted package | while read -r name; do ! have_package "$name" || printf '%s ' "$name"; done)
  [ -n "$names" ] || return 0
  # shellcheck disable=SC2086 # a list
  would=$(apt-get purge -s $names 2>/dev/null | sed -n 's/^Purg \([^ ]*\).*/\1/p' | sort)
  if [ "$would" != "$(printf '%s\n' $names | sort)" ]; then
    say "the packages $names stay: others need them"
    return 0
  fi
  # shellcheck disable=SC2086 # a list
  DEBIAN_FRONTEND=noninteractive apt-get purge -qq -y $names > "$staging/apt.log" 2>&1 \
    || say "apt-get could not remove $names: $(tail -n 1 "$staging/apt.log")"
}
