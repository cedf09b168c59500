# A version of the program: an environment of its own beside the others, and the link that says which one runs.

releases=$opt/releases
current=$opt/current
previous=$opt/previous
agent=$current/bin/shoal-agent

release_at() { [ ! -L "$1" ] || basename "$(readlink "$1")"; }

# Where the program comes from; and a name that tells two of them apart, also where a version is the same.
read_source() {
  [ -n "$from" ] || from=$(default_source)
  source_version=$(version_of "$from")
  [ -n "$source_version" ] || fail "$from is no checkout, wheel or sdist of Shoal"
  release=$source_version-$({ content_of "$from" && printf '%s %s %s %s' "$extras" "$isolation" "$python_version" "$architecture"; } | sha256sum | cut -c 1-8)
}

default_source() {
  local found
  [ -z "$wheels" ] && printf %s "$(dirname "$here")" && return
  found=$(find "$wheels" -maxdepth 1 -name 'shoal-*-py3-none-any.whl' | sort -V | tail -n 1)
  [ -n "$found" ] || fail "$wheels holds no wheel of Shoal: fill it with \`make wheels\`"
  printf %s "$found"
}

version_of() {
  local name=${1##*/}
  case $name in
    shoal-*.whl) name=${name#shoal-} && printf %s "${name%%-*}" ;;
    shoal-*.tar.gz) name=${name#shoal-} && printf %s "${name%.tar.gz}" ;;
    *) [ ! -f "$1/pyproject.toml" ] || sed -n 's/^version = "\(.*\)"$/\1/p' "$1/pyproject.toml" ;;
  esac
}

source_parts="agent deploy models pyproject.toml README.md LICENSE"

content_of() {
  [ -d "$1" ] || { sha256sum < "$1" && return; }
  # shellcheck disable=SC2086 # a list
  (cd "$1" && find $source_parts -type f ! -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum)
}

needs_release() { [ ! -e "$releases/$release/.complete" ]; }

say_release() {
  say "make $releases/$release: Python $python_version, $chosen_runtime${extras:+, with $extras}$(say_isolation)"
  say "  from $from${wheels:+, and wheels from $wheels}; prove there that it starts"
}

say_isolation() { [ "$isolation" = isolated ] || printf ", beside the system's packages (picamera2)"; }

do_release() {
  local folder=$releases/$release
  rm -rf "$folder"
  will_make "$releases"
  undo_with rm -rf "$folder"
  mkdir -p "$releases"
  make_environment "$folder"
  install_into "$folder"
  prove "$folder"
  printf '%s %s\n' "$isolation" "$extras" > "$folder/.choices"
  # Whole on the disk before it is called so: a plug may be pulled.
  sync -f "$folder"
  touch "$folder/.complete"
}

make_environment() {
  local options=()
  [ "$isolation" = isolated ] || options+=(--system-site-packages)
  [ -z "$wheels" ] || options+=(--without-pip)
  "$python" -m venv "${options[@]}" "$1" > "$staging/venv.log" 2>&1 \
    || fail "$python -m venv failed: $(tail -n 1 "$staging/venv.log")"
}

install_into() {
  local wanted=$from log=$staging/pip.log
  [ -f "$from" ] || wanted=$(copy_of_checkout)
  pip_words
  # shellcheck disable=SC2046 # no word, or two
  $(pip_personality) "$1/bin/python" "${pip_words[@]}" "$wanted${extras:+[$extras]}" > "$log" 2>&1 || fail "pip could not install it: $(pip_fault "$log")"
}

# What of pip's many lines names the cause.
pip_fault() {
  local unbuilt
  unbuilt=$(sed -n 's/^ *ERROR: Failed building wheel for \([^ ]*\)$/\1/p' "$1" | head -n 1)
  if grep -q 'No space left on device' "$1"; then
    printf 'the disk is full'
  elif grep -qE 'NewConnectionError|NameResolutionError|ProxyError|Connect(ion)?Timeout|ReadTimeout' "$1" \
    || { [ -z "$wheels" ] && grep -qF '(from versions: none)' "$1"; }; then
    printf 'its package index cannot be reached; without internet, say --wheels DIR'
  elif [ -n "$unbuilt" ]; then
    printf '%s' "$unbuilt has no wheel for Python $python_version on $architecture and could not be built: $(without_wheel)"
  else
    { grep 'ERROR:' "$1" || tail -n 1 "$1"; } | head -n 1 | sed 's/^ *//'
  fi
}

without_wheel() {
  case $architecture in
    armhf) printf '%s' 'let pip read piwheels too, as Raspberry Pi OS does, or use a 64-bit system' ;;
    *) printf '%s' 'use Python 3.11 to 3.13, or install a compiler' ;;
  esac
}

# setuptools leaves folders where it builds.
copy_of_checkout() {
  mkdir -p "$staging/source"
  # shellcheck disable=SC2086 # a list
  tar -C "$from" --exclude=__pycache__ -cf - $source_parts | tar -C "$staging/source" -xf -
  printf %s "$staging/source"
}

# Offline pip runs out of its own wheel.
pip_words() {
  local wheel
  pip_words=(-m pip install --quiet)
  [ -n "$wheels" ] || return 0
  wheel=$(find "$wheels" -maxdepth 1 -name 'pip-*.whl' | head -n 1)
  [ -n "$wheel" ] || fail "$wheels holds no wheel of pip: fill it with \`make wheels\`"
  pip_words=("$wheel/pip" install --quiet --no-index --find-links "$wheels")
}

# Before anything depends on it: it starts, and its runtime computes, as the user that it will be.
prove() {
  local told
  told=$(as_shoal "$1/bin/shoal-agent" --version 2>&1) || fail "$release does not start here: $(last_line "$told")"
  told=$(as_shoal "$1/bin/shoal-agent" check --only runtime --only numpy 2>&1) \
    || fail "$release cannot compute here: $(fault_in "$told")"
}

as_shoal() { (cd / && runuser -u shoal -- "$@"); }

# Holds what ran before, and the one before that, while a switch is not settled. A run that is killed leaves it,
# and the next one begins there: what is linked may never have been started.
switching=$opt/switching

settled() { if [ -e $switching ]; then sed -n 1p $switching; else release_at $current; fi; }

settled_before() { if [ -e $switching ]; then sed -n 2p $switching; else release_at $previous; fi; }

needs_switch() { [ -e $switching ] || [ "$(release_at $current)" != "$release" ] || [ "$(readlink /usr/local/bin/shoal-agent)" != "$agent" ]; }

say_switch() {
  local now
  now=$(settled)
  if [ -n "$now" ]; then say "switch from $now to $release, and back by itself if it does not come up"; else say "point $current at it, and /usr/local/bin/shoal-agent"; fi
}

do_switch() {
  local now before
  now=$(settled) before=$(settled_before)
  undo_with rm -f $switching
  printf '%s\n' "$now" "$before" > $switching.new && mv -f $switching.new $switching
  undo_with point "$current" "$now"
  undo_with point "$previous" "$before"
  [ -z "$now" ] || [ "$now" = "$release" ] || point $previous "$now"
  point $current "$release"
  put_command shoal-agent && put_completion shoal-agent
  if had operator; then put_command shoal && put_completion shoal; fi
}

# The link names this release, or goes where there is none; a reader sees the one before or this one.
point() {
  [ -n "$2" ] || { rm -f "$1" && return; }
  ln -sfn "releases/$2" "$1.new" && mv -fT "$1.new" "$1"
}

put_command() {
  [ "$(readlink "/usr/local/bin/$1")" != "$current/bin/$1" ] || return 0
  [ ! -e "/usr/local/bin/$1" ] || fail "/usr/local/bin/$1 is there already and not ours: move it away"
  undo_with rm -f "/usr/local/bin/$1"
  ln -sfn "$current/bin/$1" "/usr/local/bin/$1"
}

settle() { rm -f $switching; }

completions=/usr/local/share/bash-completion/completions

# What the shell completes; a version that cannot tell is no worse for it.
put_completion() {
  "$current/bin/$1" completion bash > "$staging/$1.completion" 2> /dev/null || return 0
  put "$staging/$1.completion" "$completions/$1" 0644 root:root
}

# Two versions are kept: the one that runs, and the one to go back to.
prune_releases() {
  local folder
  for folder in "$releases"/*; do
    case ${folder##*/} in '*' | "$(release_at $current)" | "$(release_at $previous)") ;; *) rm -rf "$folder" ;; esac
  done
}
