# A broker and nothing else: this machine becomes a fleet of one, with keys of its own and the model that ships.

fleet_home=/var/lib/shoal-serve
workspace=$fleet_home/fleet
offline_keys=/var/lib/shoal-offline-keys

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
  undo_with rm -rf "$fleet_home" "$offline_keys"
  [ ! -d "$here/../models/photographs" ] || golden=(--golden "$here/../models/photographs")
  mkdir -p "$fleet_home"
  operate init "$workspace" --broker "$broker" --fleet "$id" --root "${topics:-shoal/$id}"
  fleet_settings
  mv "$workspace/keys/offline" "$offline_keys"
  operate release "$models/efficientnet_lite0_224_uint8.tflite" --labels "$models/labels.txt" --workspace "$workspace" \
    --name lite0 --version 1.0.0 --licence Apache-2.0 --offline-keys "$offline_keys" "${golden[@]}"
  operate rollout start lite0 --waves all --workspace "$workspace"
  chown -R shoal-serve:shoal-serve "$fleet_home"
  chmod 0700 "$fleet_home" "$offline_keys"
}

operate() {
  local log=$staging/shoal.log
  "$current/bin/shoal" "$@" > "$log" 2>&1 || fail "the fleet could not be made: $(last_line "$(cat "$log")")"
}

# The broker's key to the operator's door is the device's own.
fleet_settings() {
  local file=$workspace/shoal.toml
  [ -z "$broker_username" ] || set_key "$file" broker username "$(quoted "$broker_username")"
  [ -z "$ca" ] || { install -m 0644 "$ca" "$workspace/ca.pem" && set_key "$file" broker ca '"ca.pem"'; }
  [ -n "$broker_password_file" ] || return 0
  install -m 0600 "$broker_password_file" "$workspace/broker-password"
  set_key "$file" broker password_file '"broker-password"'
}

# A fleet that was made here goes where its device goes; the controller tells the new broker all it needs.
move_fleet() {
  local file=$workspace/shoal.toml kept=$staging/shoal.toml
  { [ "$own_fleet" = yes ] && [ -n "$broker" ]; } || return 0
  cp -p "$file" "$kept" && undo_with cp -p "$kept" "$file"
  set_key "$file" broker url "$(quoted "$broker")"
  fleet_settings
  chown -R shoal-serve:shoal-serve "$workspace"
}
