#!/bin/sh
# PgBouncer for tests/store/test_pgbouncer.py: from Debian's archive, whose signatures apt checks, unpacked into
# .venv/debian, so that no root is needed and nothing of this machine is changed. Where that is not to be had, nothing is
# said: the test is skipped and names its reason. One that is installed is used instead.
set -eu
exec >/dev/null 2>&1
home=.venv/debian

command -v pgbouncer && exit
[ -x $home/usr/sbin/pgbouncer ] && exit
command -v apt-get && command -v dpkg

rm -rf $home $home.new
mkdir -p $home.new/lists/partial $home.new/cache/archives/partial $home.new/root
cd $home.new

# The program and those of its libraries that are not installed. $@: where apt's lists are.
fetch() {
  wanted=$(apt-cache "$@" depends pgbouncer | sed -n 's/^ *Depends: \(lib[^ ]*\)$/\1/p')
  for package in $wanted; do
    dpkg -s "$package" || timeout 60 apt-get "$@" download "$package" || return 1
  done
  timeout 60 apt-get "$@" download pgbouncer
}

# Lists of our own where the machine has none yet: only root may make those.
if ! fetch -qq; then
  own="-qq -o Dir::State::lists=$PWD/lists -o Dir::Cache=$PWD/cache -o APT::Sandbox::User="
  # shellcheck disable=SC2086  # several words on purpose
  timeout 120 apt-get $own update && fetch $own
fi
for package in ./*.deb; do
  dpkg -x "$package" root
done
cd - && mv $home.new/root $home && rm -rf $home.new
