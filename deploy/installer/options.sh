# What was asked for: every option is a variable of its name.

verb=install
yes=no dry_run=no operator=no keep_models=no keep_settings=no purge=no
config="" broker="" fleet_root="" topics="" id="" broker_username="" broker_password_file="" ca=""
seal_key_file="" asked_id="" web="" web_password_file=""
from="" wheels="" camera=auto runtime=auto edgetpu=""

read_options() {
  # The Debian package calls it so: there only the settings are the installer's.
  [ "${0##*/}" != shoal-setup ] || verb=configure
  case ${1-} in
    install | configure | rollback | uninstall | status) verb=$1 && shift ;;
  esac
  while [ $# -gt 0 ]; do
    case $1 in
      --yes | --dry-run | --operator | --keep-models | --keep-settings | --purge) set_flag "$1" ;;
      --try) verb=try ;;
      -h | --help) verb=help ;;
      --*=*) set_option "${1%%=*}" "${1#*=}" ;;
      --*) [ $# -gt 1 ] || wrong "$1 needs a value; --help shows them all"
        set_option "$1" "$2"
        shift ;;
      *) wrong "there is no verb '$1'; --help shows them all" ;;
    esac
    shift
  done
  check_options
}

set_flag() {
  local name=${1#--}
  printf -v "${name//-/_}" yes
}

set_option() {
  local name=${1#--}
  case $name in
    config | fleet-root | broker-password-file | ca | seal-key-file | web-password-file | from | wheels | edgetpu)
      check_file "--$name" "$2"
      printf -v "${name//-/_}" %s "$(readlink -f "$2")" ;;
    broker | topics | id | broker-username | web | camera | runtime) printf -v "${name//-/_}" %s "$2" ;;
    *) wrong "there is no option $1; --help shows them all" ;;
  esac
}

# A password that is a folder or empty would be found out much later.
check_file() {
  [ -e "$2" ] || fail "$1 $2: there is no such file"
  case $1 in --config | --from | --wheels) return 0 ;; esac
  [ -f "$2" ] || fail "$1 $2: this is no file"
  [ -r "$2" ] || fail "$1 $2: $(id -un) may not read it"
  [ -s "$2" ] || fail "$1 $2: this file is empty"
}

# user, host and port of one broker. Several are separated by commas.
broker_form='^mqtts?://(([^@:/,]+)@)?(\[[0-9A-Za-z:.%]+\]|[A-Za-z0-9_][A-Za-z0-9_.-]*)(:([0-9]{1,5}))?/?$'

check_broker() {
  local one brokers
  IFS=, read -r -a brokers <<< "$broker"
  for one in "${brokers[@]}"; do
    one=${one//[[:space:]]/}
    case $one in *:*:*@*) wrong "--broker holds a password: put it into a file, and say --broker-password-file FILE" ;; esac
    [[ $one =~ $broker_form ]] && [ "${BASH_REMATCH[5]:-1}" -ge 1 ] && [ "${BASH_REMATCH[5]:-1}" -le 65535 ] \
      || wrong "--broker $one: it looks like mqtt://192.168.1.10:1883"
  done
}

check_options() {
  case $camera in auto | csi | webcam | pattern) ;; *) wrong "--camera $camera: it is auto, csi, webcam or pattern" ;; esac
  case $runtime in auto | litert | tflite) ;; *) wrong "--runtime $runtime: it is auto, litert or tflite" ;; esac
  check_broker
  [[ -z $id || $id =~ ^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$ ]] \
    || wrong "--id $id: letters, digits, dots, dashes and underscores, at most 64, the first a letter or a digit"
  [[ $web =~ ^(.+:[0-9]{1,5})?$ ]] || wrong "--web $web: an address and a port, such as 0.0.0.0:8480"
  [ -z "$config" ] || [ -z "$fleet_root" ] || wrong "--config brings the root of trust with it: leave --fleet-root out"
  asked_id=$id
  [ -z "$wheels" ] || [ -d "$wheels" ] || wrong "--wheels $wheels: a folder, that \`make wheels\` filled"
  [ -z "$fleet_root" ] || [ -n "$broker" ] || wrong "--fleet-root needs the fleet's broker: --broker mqtt://host:port"
}

# Whether anything about this device's settings was said. Its id is the host's name where none was.
settings_given() {
  [ -n "$config$broker$fleet_root$topics$asked_id$broker_username$broker_password_file$ca$seal_key_file$web$web_password_file" ] \
    || [ "$camera" != auto ]
}
