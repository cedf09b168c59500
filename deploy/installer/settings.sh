# /etc/shoal and its secrets. What is to stand there is made ready in $staging first, and compared.

present_id() { id_in "$etc/agent.toml"; }

id_in() { sed -n 's/^id = "\(.*\)"$/\1/p' "$1" 2>/dev/null | head -n 1 || true; }

claims_identity() { [ -n "$config" ] && grep -qs '^\[claim\]' "$(config_file)"; }

config_file() {
  local found
  [ ! -f "$config" ] || { printf %s "$config" && return; }
  for found in "$config/$id.toml" "$config/agent.toml"; do
    [ ! -f "$found" ] || { printf %s "$found" && return; }
  done
  found=$(find "$config" -maxdepth 1 -name '*.toml')
  [ -f "$found" ] || fail "$config holds no configuration of a device, or several: name the file, or say --id"
  printf %s "$found"
}

# Everything for /etc/shoal into $staging/shoal, all secrets into $staging/credstore.
prepare_settings() {
  mkdir -p "$staging/shoal" "$staging/credstore"
  settings_given || return 0
  if [ -n "$config" ]; then prepare_given; else prepare_present; fi
  prepare_secrets
  apply_options "$staging/shoal/agent.toml"
}

prepare_given() {
  local file folder
  file=$(config_file) || exit 1
  folder=$(dirname "$file")
  find "$folder" -maxdepth 1 -type f ! -name '*.toml' ! -name '*.sh' ! -name '*.line' -exec cp -t "$staging/shoal" {} +
  cp "$file" "$staging/shoal/agent.toml"
  [ -n "$asked_id" ] || id=$(id_in "$file")
  set_key "$staging/shoal/agent.toml" device state_dir "$(quoted $state)"
}

prepare_present() {
  local file=$staging/shoal/agent.toml
  if [ -e "$etc/agent.toml" ]; then cp "$etc/agent.toml" "$file"; else fresh_settings > "$file"; fi
  [ -z "$fleet_root" ] || cp "$fleet_root" "$staging/shoal/root.json"
  [ "$own_fleet" = no ] || [ ! -e "$workspace/root.json" ] || cp "$workspace/root.json" "$staging/shoal/root.json"
}

fresh_settings() {
  [ -n "$broker" ] || fail "this device has no settings yet: say --broker mqtt://host:port, or --config PATH"
  local prefix=${topics:-shoal/home}
  [ "$own_fleet" = no ] || prefix=${topics:-shoal/$id}
  printf '%s\n' "# Configuration of one Shoal device; \`shoal-agent check\` shows every setting, and examines the machine." \
    "" "[device]" "id = $(quoted "$id")" "state_dir = $(quoted $state)" \
    "" "[broker]" "url = $(quoted "$broker")" "root = $(quoted "$prefix")" \
    "" "[trust]" 'root = "root.json"' \
    "" "[camera]" "kind = $(quoted "$(camera_kind)")"
}

apply_options() {
  local file=$1
  [ -z "$asked_id" ] || claims_identity || set_key "$file" device id "$(quoted "$id")"
  [ -z "$broker" ] || set_key "$file" broker url "$(quoted "$broker")"
  [ -z "$topics" ] || set_key "$file" broker root "$(quoted "$topics")"
  [ -z "$broker_username" ] || set_key "$file" broker username "$(quoted "$broker_username")"
  [ -z "$ca" ] || { cp "$ca" "$staging/shoal/ca.pem" && set_key "$file" broker ca '"ca.pem"'; }
  [ "$camera" = auto ] || set_key "$file" camera kind "$(quoted "$(camera_kind)")"
  [ -z "$web" ] || set_key "$file" web listen "$(quoted "$web")"
}

prepare_secrets() {
  [ -z "$broker_password_file" ] || cp "$broker_password_file" "$staging/credstore/shoal.mqtt_password"
  [ -z "$seal_key_file" ] || cp "$seal_key_file" "$staging/credstore/shoal.seal_key"
  [ -z "$web_password_file" ] || cp "$web_password_file" "$staging/credstore/shoal.web_password"
}

# FILE SECTION KEY VALUE: sets the key, in its own line or in that of its commented default; makes the section.
set_key() {
  local made=$1.set
  awk -v section="[$2]" -v key="$3" -v line="$3 = ${4//\\/\\\\}" '
    function is_key(text) { return text ~ "^" key "[ \t]*=" }
    FNR == 1 { inside = 0 }
    /^\[/ { if (NR != FNR && inside && !done) { print line; print ""; done = 1 } inside = ($1 == section) }
    NR == FNR { if (inside && is_key($0)) there = 1; next }
    inside && !done && (is_key($0) || (!there && $0 ~ "^# ?" key "[ \t]*=")) { print line; done = 1; next }
    { print }
    END { if (!done) { if (!inside) print "\n" section; print line } }
  ' "$1" "$1" > "$made"
  cat "$made" > "$1"
  rm "$made"
}

needs_settings() {
  local file
  for file in "$staging"/shoal/* "$staging"/credstore/*; do
    [ -e "$file" ] || continue
    cmp -s "$file" "/etc/${file#"$staging"/}" || return 0
  done
  needs_fleet
}

say_settings() {
  if [ -e "$etc/agent.toml" ]; then say "change the settings in $etc, and keep agent.toml.before"; else say "write the settings of this device, $id, into $etc: camera $(say_camera)"; fi
  [ -z "$(ls "$staging/credstore")" ] || say "put its secrets into $credstore, for root alone"
}

say_camera() {
  case $chosen_camera in
    csi) printf "of the board (picamera2)" ;;
    webcam) printf "on USB (v4l2)" ;;
    pattern)
      if [ -n "$config" ]; then printf "as they say"; else printf "none was found, so drawn test pictures; --camera says otherwise"; fi ;;
  esac
}

do_settings() {
  local file
  prepare_settings
  move_fleet
  mkdir -p "$etc" "$credstore"
  [ ! -e "$etc/agent.toml" ] || cp -p "$etc/agent.toml" "$staging/before"
  for file in "$staging"/shoal/*; do [ ! -e "$file" ] || put "$file" "$etc/${file##*/}" 0640 root:shoal; done
  for file in "$staging"/credstore/*; do [ ! -e "$file" ] || put "$file" "$credstore/${file##*/}" 0600 root:root; done
  systemd-tmpfiles --create shoal.conf
  ! settings_refused || fail "these settings do not hold: $refusal"
  [ ! -e "$staging/before" ] || put "$staging/before" "$etc/agent.toml.before" 0640 root:shoal
}

settings_refused() {
  refusal=$(as_shoal "$agent" check --config "$etc/agent.toml" --only config 2>&1) && return 1
  refusal=$(fault_in "$refusal")
}
