# What fits this machine: decided from what was read and asked for, without looking again.

# The runtime, and why no other. LiteRT has wheels for 64-bit machines, Python 3.11 and newer; tflite-runtime
# 2.14 for Python 3.11 at the newest, 32-bit ARM too.
choose_runtime() {
  local litert=no tflite=no
  case $architecture in amd64 | arm64) litert=yes ;; esac
  case $architecture:$python_version in amd64:3.11 | arm64:3.11 | armhf:3.11) tflite=yes ;; esac
  case $runtime:$litert:$tflite in
    auto:yes:* | litert:yes:*) chosen_runtime=litert ;;
    auto:no:yes | tflite:*:yes) chosen_runtime=tflite ;;
    *) fail "$(no_runtime)" ;;
  esac
}

no_runtime() {
  local here="Python $python_version on $architecture"
  case $runtime in
    litert) printf '%s' "LiteRT has no wheel for $here: use a 64-bit system, or --runtime tflite with Python 3.11" ;;
    tflite) printf '%s' "tflite-runtime has no wheel for $here, only for Python 3.11: leave --runtime out" ;;
    *) printf '%s' "no runtime has a wheel for $here: use a 64-bit system, or Raspberry Pi OS bookworm" ;;
  esac
}

# csi, webcam or pattern; what was asked for counts before what the settings say, and that before what is there.
choose_camera() {
  local configured
  chosen_camera=$camera
  [ "$camera" = auto ] || return 0
  configured=$(configured_camera) || exit 1
  case $configured:$has_csi:$has_webcam in
    picamera2:*) chosen_camera=csi ;;
    v4l2:*) chosen_camera=webcam ;;
    :yes:* | auto:yes:*) chosen_camera=csi ;;
    :*:yes | auto:*:yes) chosen_camera=webcam ;;
    *) chosen_camera=pattern ;;
  esac
}

# The camera's kind in the settings that are given or there.
configured_camera() {
  local file=$etc/agent.toml
  [ -z "$config" ] || file=$(config_file) || exit 1
  [ ! -f "$file" ] || awk -F '"' '/^\[/ { section = $0 } section ~ /^\[camera/ && /^kind *=/ { print $2; exit }' "$file"
}

camera_kind() {
  case $chosen_camera in csi) printf picamera2 ;; webcam) printf v4l2 ;; *) printf pattern ;; esac
}

# Extras of the distribution, in the order of the alphabet. An upgrade takes none away.
choose_extras() {
  local wanted=()
  { [ "$chosen_camera" != webcam ] && ! had camera; } || wanted+=(camera)
  { [ "$operator:$own_fleet" = no:no ] && ! had operator; } || wanted+=(operator)
  { [ "$chosen_runtime" != tflite ] && ! had tflite; } || wanted+=(tflite)
  extras=$(IFS=, && printf %s "${wanted[*]}")
}

choose_isolation() {
  isolation=isolated
  { [ "$chosen_camera" != csi ] && ! had system-site-packages; } || isolation=system-site-packages
}

# Whether the version that runs was made with it.
had() { grep -qw -- "$1" "$current/.choices" 2>/dev/null; }

# A 32-bit system under a 64-bit kernel says that it is aarch64, and pip would look for LiteRT.
pip_personality() {
  case $architecture:$kernel in armhf:aarch64) printf 'setarch linux32' ;; esac
}
