#!/usr/bin/env bash
# Puts Shoal onto a Debian or Raspberry Pi OS machine as a service, keeps it, and takes it off again.
#
#   sudo deploy/install.sh --broker mqtt://192.168.1.10:1883
#   sudo deploy/install.sh --config device/
#   sudo deploy/install.sh                        again, from a newer checkout: an upgrade
#   sudo deploy/install.sh rollback | status | uninstall [--keep-models]
#   deploy/install.sh --try                       a look at it: nothing is installed
#
# verbs
#   install      install or upgrade (default); what is there already stays as it is
#   configure    only the settings, of what is installed already, also as a Debian package
#   rollback     back to the version before
#   uninstall    take everything off again
#   status       what is installed, and how it fares
#
# which fleet
#   --config PATH               what `shoal device-config` or `shoal enrol --out` wrote: the file or its folder
#   --broker URL                mqtt://host:port or mqtts://host:port. Without --config and --fleet-root this
#                               machine becomes a fleet of its own, which runs the model that ships
#   --fleet-root FILE           the fleet's pinned root of trust, root.json
#   --topics PREFIX             the fleet's topics (default: shoal/home; of a fleet of its own, shoal/ID)
#   --id NAME                   this device's id (default: the host's name)
#   --broker-username NAME      --broker-password-file FILE     --ca FILE
#   --seal-key-file FILE        what its reports are sealed with
#   --web LISTEN                the device's page, such as 0.0.0.0:8480; --web-password-file FILE
#
# what is installed
#   --from PATH                 a checkout, a wheel or an sdist (default: the checkout of this script)
#   --wheels DIR                nothing from the internet: a folder that `make wheels` filled
#   --camera KIND               auto (what is found, the default), csi, webcam or pattern
#   --runtime KIND              auto (default), litert or tflite
#   --edgetpu FILE.deb          libedgetpu for a Coral accelerator
#   --operator                  also what the operator's command, shoal, needs
#
# taking it off
#   --keep-models               models stay in /var/lib/shoal
#   --keep-settings             /etc/shoal, its secrets and a fleet of its own stay
#   --purge                     also models that an earlier uninstall kept
#
# always
#   --yes                       do not ask        --dry-run    only say what would be done
if [ -z "${BASH_VERSION-}" ]; then
  [ -f "$0" ] && exec bash "$0" "$@"
  echo "install.sh: it is more than this file: git clone it, and run sudo deploy/install.sh there" >&2
  exit 1
fi
set -euo pipefail
umask 022
# What is sorted and matched is the same whoever calls.
export LC_ALL=C.UTF-8
if [ ! -d "$(dirname "$(readlink -f "${BASH_SOURCE[0]:-/}")")/installer" ]; then
  echo "install.sh: it is more than this file: git clone it, and run sudo deploy/install.sh there" >&2
  exit 1
fi
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
script=$here/install.sh
parts=$here/installer
# What pip keeps would be left behind.
[ -n "${PIP_CACHE_DIR-}" ] || export PIP_NO_CACHE_DIR=1
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

# shellcheck source=deploy/installer/words.sh
. "$parts/words.sh"
# shellcheck source=deploy/installer/options.sh
. "$parts/options.sh"
# shellcheck source=deploy/installer/machine.sh
. "$parts/machine.sh"
# shellcheck source=deploy/installer/choice.sh
. "$parts/choice.sh"
# shellcheck source=deploy/installer/undo.sh
. "$parts/undo.sh"
# shellcheck source=deploy/installer/packages.sh
. "$parts/packages.sh"
# shellcheck source=deploy/installer/files.sh
. "$parts/files.sh"
# shellcheck source=deploy/installer/release.sh
. "$parts/release.sh"
# shellcheck source=deploy/installer/own_fleet.sh
. "$parts/own_fleet.sh"
# shellcheck source=deploy/installer/settings.sh
. "$parts/settings.sh"
# shellcheck source=deploy/installer/service.sh
. "$parts/service.sh"
# shellcheck source=deploy/installer/plan.sh
. "$parts/plan.sh"
# shellcheck source=deploy/installer/remove.sh
. "$parts/remove.sh"
# shellcheck source=deploy/installer/verbs.sh
. "$parts/verbs.sh"

read_options "$@"
# The folder that it was called in may be one that goes, or has gone.
cd / 2> /dev/null
"verb_$verb"
