# A broker and nothing else: this machine becomes a fleet of one, with keys of its own and the model that ships.

fleet_home=/var/lib/shoal-serve
workspace=$fleet_home/fleet
offline_keys=/var/lib/shoal-offline-keys
# Made here, and moved when all is there: half a fleet is none.
making=$fleet_home/fleet.making
unfinished_keys=$offline_keys.making

# It stays one, once it is.
choose_fleet() {
  own_fleet=no
  id=${id:-$(present_id)}
  id=${id:-$(uname -n)}
  if [ -d "$workspace" ]; then own_fleet=yes; fi
  if [ -n "$broker" ] && [ -z "$config$fleet_root" ] && [ ! -e "$etc/root.json" ]; then own_fleet=yes; fi
}

needs_fleet() { [ "$own_fleet" = yes ] && [ ! -d "$workspace" ]; }

say_fleet() {
  say "make a fleet of its own: keys, the model that ships as its first release, the controller as a service"
  say "  in $workspace; its offline keys in $offline_keys, to be moved to a stick"
}

do_fleet() {
  local models=$current/share/shoal/models/efficientnet_lite0 golden=()
  # Keys of a fleet that was never finished; all others are somebody's.
  [ ! -d "$making" ] || rm -rf "$offline_keys"
  [ ! -e "$offline_keys" ] || fail "$offline_keys is there, and the fleet whose keys these are is not: move it away"
  rm -rf "$making" "$unfinished_keys"
  undo_with rmdir --ignore-fail-on-non-empty "$fleet_home"
  undo_with rm -rf "$making" "$unfinished_keys"
  [ ! -d "$here/../models/photographs" ] || golden=(--golden "$here/../models/photographs")
  mkdir -p "$fleet_home"
  operate init "$making" --broker "$broker" --fleet "$id" --root "${topics:-shoal/$id}"
  fleet_settings "$making"
  mv "$making/keys/offline" "$unfinished_keys"
  operate release "$models/efficientnet_lite0_224_uint8.tflite" --labels "$models/labels.txt" --workspace "$making" \
    --name lite0 --version 1.0.0 --licence Apache-2.0 --offline-keys "$unfinished_keys" "${golden[@]}"
  operate rollout start lite0 --waves all --workspace "$making"
  chown -R shoal-serve:shoal-serve "$fleet_home"
  chmod 0700 "$fleet_home" "$unfinished_keys"
  undo_with rm -rf "$fleet_home" "$offline_keys"
  mv "$unfinished_keys" "$offline_keys"
  mv "$making" "$workspace"
}

operate() {
  local log=$staging/shoal.log
  "$current/bin/shoal" "$@" > "$log" 2>&1 || fail "the fleet could not be made: $(last_line "$(cat "$log")")"
}

# Of the fleet in this folder. The broker's key to the operator's door is the device's own.
fleet_settings() {
  local file=$1/shoal.toml
  [ -z "$broker_username" ] || set_key "$file" broker username "$(quoted "$broker_username")"
  [ -z "$ca" ] || { install -m 0644 "$ca" "$1/ca.pem" && set_key "$file" broker ca '"ca.pem"'; }
  [ -n "$broker_password_file" ] || return 0
  install -m 0600 "$broker_password_file" "$1/broker-password"
  set_key "$file" broker password_file '"broker-password"'
}

# A fleet that was made here goes where its device goes; the controller tells the new broker all it needs.
move_fleet() {
  local file=$workspace/shoal.toml kept=$staging/shoal.toml
  { [ "$own_fleet" = yes ] && [ -n "$broker" ]; } || return 0
  cp -p "$file" "$kept" && undo_with cp -p "$kept" "$file"
  set_key "$file" broker url "$(quoted "$broker")"
  fleet_settings "$workspace"
  chown -R shoal-serve:shoal-serve "$workspace"
}
