#!/bin/sh
# Brings PostgreSQL from Debian's packages, for the tests of the shared ledger; they start a server of their own.
# Does nothing where it is there already, and only says so where it cannot be installed: those tests then skip.
set -eu
if ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1 || command -v pg_ctl >/dev/null; then exit 0; fi
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    if apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends postgresql >/dev/null; then
        exit 0
    fi
fi
echo "could not install postgresql: the tests of the shared ledger skip"
