# What is said: to a person in sentences, errors in one.

say() { printf '%s\n' "$*"; }

# A usage error is 2, as everywhere; all else that is refused or fails is 1.
wrong() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 2
}

fail() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

usage() { sed -n '2,/^if /{/^if /d; s/^# \{0,1\}//; p}' "$script"; }

# Asks a person; a program must have said --yes.
confirm() {
  [ "$yes" = yes ] && return
  [ -t 0 ] || fail "nobody can be asked here: say --yes to go ahead, or --dry-run to see the plan alone"
  local answer
  read -r -p "Go ahead? [y/N] " answer
  case $answer in y | Y | yes) ;; *) fail "nothing was done" ;; esac
}

# A text as TOML writes it.
quoted() {
  local text=${1//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}

last_line() { printf '%s\n' "$1" | grep -v '^ *$' | tail -n 1; }

# What `shoal-agent check` found fatal first; the last line of what never came so far.
fault_in() {
  local fatal
  fatal=$(printf '%s\n' "$1" | sed -n 's/^fatal  *[^ ]*  *//p' | head -n 1)
  printf %s "${fatal:-$(last_line "$1")}"
}
