# The service: whether it runs, starting it, and whether it stays.

service=shoal-agent.service
controller=shoal-serve.service
settle_s=${SHOAL_SETTLE_S:-10}
predicts_within_s=${SHOAL_PREDICTS_WITHIN_S:-120}

active() { systemctl is-active --quiet "$1"; }

shown() { systemctl show --value --property="$1" "$service"; }

services() {
  printf '%s\n' $service
  [ "$own_fleet" = no ] || printf '%s\n' $controller
}

# Nothing is started that was not told its fleet.
configured() { [ -e "$etc/agent.toml" ] || settings_given; }

needs_start() {
  local name
  configured || return 1
  [ ${#steps[@]} -eq 0 ] || return 0
  for name in $(services); do
    { active "$name" && systemctl is-enabled --quiet "$name"; } || return 0
  done
  return 1
}

say_start() { say "start $(services | paste -sd ' '), now and at every boot; wait until it is up"; }

do_start() {
  local name must_predict=no
  ! switches_alone || ! predicts || must_predict=yes
  disturbed=yes
  for name in $(services); do
    systemctl is-enabled --quiet "$name" || undo_with systemctl disable "$name"
    active "$name" || undo_with systemctl stop "$name"
    systemctl enable --quiet "$name" 2> /dev/null
  done
  [ "$own_fleet" = no ] || systemctl restart $controller || fail "the controller does not start: $(why_down $controller)"
  comes_up || fail "$(what_runs) does not come up: $(why_down $service)"
  [ $must_predict = no ] || await_prediction || fail "$(what_runs) does not predict as the one before did: $told"
}

# A package's version is dpkg's business.
what_runs() {
  local release
  release=$(release_at "$current")
  printf %s "${release:-$service}"
}

# Of another version with the same settings more can be asked than that it starts.
switches_alone() { case " ${steps[*]} " in *" settings "*) return 1 ;; *" switch "*) ;; *) return 1 ;; esac; }

# Ready, and still the same process a while later.
comes_up() {
  systemctl reset-failed $service 2> /dev/null || true
  systemctl restart $service 2> /dev/null || return 1
  local process
  process=$(shown MainPID)
  sleep "$settle_s"
  active $service && [ "$(shown MainPID)" = "$process" ]
}

why_down() {
  local told
  told=$(journalctl --unit "$1" --output=cat --no-pager --lines=40 2>/dev/null | grep -v '^ ' | grep -v "^$1" \
    | grep -vE '^(Start|Stopp|Fail|Schedul|Deactivat)' | tail -n 1)
  printf '%s' "${told:-systemctl status $1 tells more}"
}

# Undone after everything else: what ran before runs again, if it was disturbed.
restart_after_undoing() {
  disturbed=no
  ! active $service || undo_with restart_as_before
}

restart_as_before() {
  [ $disturbed = yes ] || return 0
  systemctl daemon-reload
  ! active $controller || systemctl restart $controller
  systemctl restart $service
}

# What a person waits for. A fleet that has no release yet is no failure.
await_prediction() {
  local until=$((SECONDS + predicts_within_s))
  until predicts; do
    { [ $SECONDS -lt $until ] && ! claims_identity; } || return 1
    case $told in *"worker keeps ending"*) return 1 ;; esac
    sleep 1
  done
}

# In the words of the service itself, which are left in $told.
predicts() {
  told=$(shown StatusText)
  case $told in *"worker keeps ending"*) return 1 ;; *" on "*", p95 "*) ;; *) return 1 ;; esac
}

say_prediction() {
  await_prediction || true
  say "it says: ${told:-nothing yet}"
}

say_what_next() {
  local url user host="" port
  url=$(setting url) && url=${url%%,*}
  if [[ $url =~ $broker_form ]]; then
    user=${BASH_REMATCH[2]:-$(setting username)} host=${BASH_REMATCH[3]//[\[\]]/} port=${BASH_REMATCH[5]:-1883}
  fi
  say "see it:   systemctl status shoal-agent"
  case $url:$host in
    mqtt://*:?*) say "hear it:  mosquitto_sub -h $host -p $port${user:+ -u $user -P ...} -t '$(setting root)/device/+/$(present_id)/prediction'" ;;
  esac
  say "examine:  sudo -u shoal $(command_name) check"
}

command_name() { command -v shoal-agent || printf %s "$agent"; }

setting() { sed -n "s/^$1 = \"\(.*\)\"\$/\1/p" "$etc/agent.toml" | head -n 1; }
