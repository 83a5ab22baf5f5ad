#!/bin/bash
# Install the on-chain price oracle on this machine: program, user, folders, timer, nginx site.
# Run it again at any time, for an upgrade too: what is there already is kept or brought up to date.
set -euo pipefail
umask 022 # the service and the web server are other users; what only some may read gets its mode below

usage() {
    cat <<'TEXT'
Usage: install.sh [options]

  --dry-run        say what would be done, do nothing
  --port N         the port nginx listens on (default: as installed before, else 8000)
  --no-nginx       leave nginx alone
  --cron           run by cron instead of the systemd timer
  --blocknotify USER  also build at once when bitcoind, which runs as USER, touches /run/onchain-oracle/block
  --python PATH    the Python to use, 3.11 or newer (default: python3)
  --no-program     leave /opt/onchain-oracle/venv alone (it is installed in another way)
  --destdir DIR    put all files below DIR, for a package or a look; no users, no services
  --uninstall      remove program, timer and site; settings, database and releases stay
  --purge          with --uninstall: remove those too, and the user
  --help           this text

Afterwards: `onchain-oracle doctor` checks the settings in /etc/onchain-oracle/oracle.env.
TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source_dir=$(dirname "$here")
name=onchain-oracle
jobs='build backfill backup' # a service and a timer each
dry_run=no nginx=yes cron=no program=yes destdir='' uninstall=no purge=no port='' python=python3 node_user='' site_problem=''

fail() {
    echo "install.sh: $*" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry_run=yes ;;
        --no-nginx) nginx=no ;;
        --cron) cron=yes ;;
        --no-program) program=no ;;
        --uninstall) uninstall=yes ;;
        --purge) purge=yes ;;
        --port | --python | --destdir | --blocknotify)
            [ $# -ge 2 ] || fail "$1 needs a value"
            case $1 in
                --port) port=$2 ;;
                --python) python=$2 ;;
                --blocknotify) node_user=$2 ;;
                --destdir) destdir=$2 ;;
            esac
            shift
            ;;
        --help | -h) usage && exit 0 ;;
        *) fail "unknown option $1 (--help lists them)" ;;
    esac
    shift
done

[ "$purge" = no ] || [ "$uninstall" = yes ] || fail "--purge needs --uninstall"
[ -z "$destdir" ] || [ "${destdir#/}" != "$destdir" ] || fail "--destdir needs an absolute path"
[[ ! $port =~ [^0-9] && ${#port} -le 5 && ${port:-1} -ge 1 && ${port:-1} -le 65535 ]] ||
    fail "--port needs a number from 1 to 65535"
[[ $node_user =~ ^[a-z_]?[a-z0-9_-]*$ ]] || fail "--blocknotify needs the name of the user who runs bitcoind"
[ -z "$node_user" ] || [ "$cron" = no ] || fail "--blocknotify needs systemd: leave out --cron"
[ -z "$node_user" ] || [ -n "$destdir" ] || id -u "$node_user" >/dev/null 2>&1 || fail "there is no user $node_user: name the one who runs bitcoind"
[ "$dry_run" = yes ] || [ -n "$destdir" ] || [ "$(id -u)" = 0 ] || fail "must be run as root (or with --dry-run)"

opt=$destdir/opt/$name
state=$destdir/var/lib/$name
etc=$destdir/etc/$name
units=$destdir/etc/systemd/system
site_available=$destdir/etc/nginx/sites-available/$name.conf
site_enabled=$destdir/etc/nginx/sites-enabled/$name.conf
tmpfiles_file=$destdir/etc/tmpfiles.d/$name.conf
cron_file=$destdir/etc/cron.d/$name
logrotate_file=$destdir/etc/logrotate.d/$name
command_file=$destdir/usr/local/bin/$name

# Say a command, and run it unless this is a dry run.
run() {
    echo "+ $*"
    [ "$dry_run" = yes ] || "$@"
}

# The same for commands that change the running machine and not just files.
live() {
    [ -n "$destdir" ] || run "$@"
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# Write standard input to a file: put MODE FILE
put() {
    local text
    text=$(cat)
    echo "+ write $2 (mode $1)"
    [ "$dry_run" = yes ] && return
    install -d -m 0755 "$(dirname "$2")"
    printf '%s\n' "$text" >"$2.new"
    chmod "$1" "$2.new"
    mv -f "$2.new" "$2"
}

# Folders that the service writes belong to its user, where there is one.
owned() {
    run install -d -m "$1" "$2"
    live chown "$name:$name" "$2"
}

check_python() {
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "$python is not a Python of 3.11 or newer; name one with --python"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python cannot make a virtual environment: apt-get install python3-venv"
    local home
    home=$("$python" -c 'import sys; print(sys.base_prefix)')
    [ -n "$destdir" ] || [[ ! $home =~ ^/(root|home)/ ]] ||
        fail "$python lives in $home, which the service may not read; try --python /usr/bin/python3"
}

check_nginx() {
    [ -n "$destdir" ] || has nginx || fail "nginx is not installed: apt-get install nginx-light (or --no-nginx)"
}

install_user() {
    id -u "$name" >/dev/null 2>&1 ||
        live useradd --system --user-group --home-dir "/var/lib/$name" --no-create-home --shell /usr/sbin/nologin "$name"
}

install_folders() {
    owned 0755 "$state"
    owned 0750 "$destdir/var/cache/$name"
    owned 0750 "$destdir/var/log/$name"
    run install -d -m 0755 "$etc" "$opt/share"
}

# Each version has a folder of its own, and venv is a link to the one in use: it is changed at once, and only to a program
# that was tried.
install_program() {
    if [ "$program" = yes ]; then
        local new before
        new=$opt/programs/$(date -u +%Y%m%dT%H%M%SZ)
        before=$(readlink -f "$opt/venv" || true)
        if ! make_program "$new"; then
            run rm -rf "$new"
            fail "the program could not be installed (the lines above say why)$(what_stays)"
        fi
        local problem=
        [ -n "$destdir" ] || problem=$(try_program "$new")
        if [ -n "$problem" ]; then
            run rm -rf "$new"
            fail "the new program $problem$(what_stays)"
        fi
        use_program "$new" "$before"
    fi
    run install -m 0644 "$here/README.md" "$source_dir/.env.example" "$opt/share/"
}

what_stays() {
    [ ! -e "$opt/venv" ] || echo "; the one before is in use as it was, and its timer goes on"
}

make_program() {
    local pip=("$1/bin/python" -m pip install --quiet --disable-pip-version-check)
    # The lock names every package; older pips would else pick newer ones for what is asked for with extras.
    # Scripts name their Python by its full path; below a destdir that is not where they will run.
    run install -d -m 0755 "$opt/programs" &&
        run "$python" -m venv "$1" &&
        run "${pip[@]}" --no-deps --require-hashes --requirement "$here/requirements.txt" &&
        run "${pip[@]}" --no-deps --no-build-isolation --force-reinstall "$source_dir" &&
        { [ -z "$destdir" ] || run sed -i "1s|^#!$destdir|#!|" "$1/bin/oracle"; }
}

as_service() {
    # shellcheck disable=SC2016 # the inner shell expands it
    runuser -u "$name" -- env HOME="/var/cache/$name" PYTHONDONTWRITEBYTECODE=1 \
        sh -c 'cd "$0" && exec "$@"' "$state" "$@"
}

# Say what is wrong with a new program, where it does not do what the one in use does; nothing where all is well. It gets a
# copy of the record to make a site of, so that neither record nor site has met it before it is in use.
try_program() {
    [ "$dry_run" = no ] || return 0
    local new=$1 scratch=/var/cache/$name/upgrade database
    if ! as_service "$new/bin/oracle" --version >/dev/null; then
        echo "does not start"
        return
    fi
    [ -e "$opt/venv/bin/oracle" ] && as_service "$opt/venv/bin/oracle" config >/dev/null 2>&1 || return 0
    if ! as_service "$new/bin/oracle" config >/dev/null; then
        echo "does not accept the settings"
        return
    fi
    database=$(as_service "$opt/venv/bin/oracle" config --json | "$python" -c '
import json, sys
print(next(setting["value"] for setting in json.load(sys.stdin) if setting["name"] == "DUCKDB_PATH"))')
    as_service test -f "$database" || return 0
    rm -rf "$scratch"
    as_service mkdir -m 0700 "$scratch"
    if as_service flock "${database%.*}.lock" cp "$database" "$scratch/record.duckdb" &&
        ! as_service env DUCKDB_PATH="$scratch/record.duckdb" ORACLE_SITE_DIR="$scratch/site" \
            "$new/bin/oracle" render >/dev/null; then
        echo "cannot make a site of the record"
    fi
    rm -rf "$scratch"
}

use_program() {
    local before=$2
    # Before there were folders of versions, venv was one itself.
    if [ ! -L "$opt/venv" ] && [ -d "$opt/venv" ]; then
        before=$opt/programs/before
        run mv -T "$opt/venv" "$before"
    fi
    run ln -sfn "/opt/$name/programs/${1##*/}" "$opt/venv.new"
    run mv -fT "$opt/venv.new" "$opt/venv"
    local old
    for old in "$opt"/programs/*; do # the one before stays, for a run that is not over
        [ "$old" = "$1" ] || [ "$old" = "$before" ] || [ ! -d "$old" ] || run rm -rf "$old"
    done
}

install_settings() {
    if [ ! -e "$etc/oracle.env" ]; then
        put 0640 "$etc/oracle.env" <<'TEXT'
# Settings of the on-chain price oracle. `onchain-oracle config` shows each with its origin, `onchain-oracle doctor` tests
# them. All names are in /opt/onchain-oracle/share/.env.example. With no source of blocks set, the chain is simulated.
#BITCOIN_RPC_URL=http://127.0.0.1:8332
#BITCOIN_DATADIR=/var/lib/bitcoind
#MEMPOOL_API_URL=http://127.0.0.1:8999
#ORACLE_PUBLIC_URL=https://price.example.org

# Where rows go when the database cannot be written. Best on another disk
# than the database (then the service needs ReadWritePaths= for it: systemctl edit oracle-build).
DUCKDB_BACKUP_PATH=/var/cache/onchain-oracle/oracle-backup.duckdb
TEXT
    fi
    live chown "root:$name" "$etc/oracle.env"
    run ln -sfn "/etc/$name/oracle.env" "$state/.env"
}

# A command for people that runs as the right user in the right folder.
install_command() {
    put 0755 "$command_file" <<'TEXT'
#!/bin/sh
# oracle, as the user and in the folder of the service: onchain-oracle doctor
cd /var/lib/onchain-oracle || exit 1
export HOME=/var/cache/onchain-oracle PYTHONDONTWRITEBYTECODE=1
if [ "$(id -un)" = onchain-oracle ]; then
    exec /opt/onchain-oracle/venv/bin/oracle "$@"
fi
# With the groups that the service has, so that what it may read (a cookie) is read here, too.
more=$(systemctl show --property=SupplementaryGroups --value oracle-build.service 2>/dev/null || true)
groups=$(for group in $(id -Gn onchain-oracle) $more; do printf ' -G %s' "$group"; done)
# shellcheck disable=SC2086 # one word a group
exec runuser -u onchain-oracle -g "$(id -gn onchain-oracle)" $groups -- /opt/onchain-oracle/venv/bin/oracle "$@"
TEXT
}

# How often builds run is said once, in the settings: pages and /health tell by it when the next one is due. Prints a file
# with its schedule of every ten minutes turned into that.
at_the_interval() {
    local minutes calendar cron_time
    minutes=$(sed -n "s/^ *ANALYSIS_INTERVAL_MINUTES *= *[\"']\{0,1\}\([0-9]\{1,4\}\)[\"']\{0,1\} *\(#.*\)\{0,1\}$/\1/p" \
        "$etc/oracle.env" 2>/dev/null | tail -n 1) || true # a dry run may have made no settings
    minutes=$((10#${minutes:-10}))
    if [ "$minutes" -lt 1 ]; then minutes=10; fi
    if [ "$minutes" -lt 60 ]; then
        calendar="*:0/$minutes" cron_time="*/$minutes * * * *"
    elif [ "$minutes" -lt 1440 ]; then
        calendar="0/$((minutes / 60)):00" cron_time="0 */$((minutes / 60)) * * *"
    else
        calendar="00:00" cron_time="0 0 * * *"
    fi
    sed "s|^OnCalendar=\*:0/10$|OnCalendar=$calendar|; s|^\*/10 \* \* \* \* |$cron_time |" "$1"
}

# The running timer may be the one to replace: stop the other way first, so that only one of the two is ever on.
install_schedule() {
    put 0644 "$logrotate_file" <"$here/logrotate/$name"
    if [ "$cron" = yes ]; then
        remove_timer
        put 0644 "$cron_file" < <(at_the_interval "$here/cron/$name")
        return
    fi
    run rm -f "$cron_file"
    local job
    for job in $jobs; do
        put 0644 "$units/oracle-$job.service" <"$here/systemd/oracle-$job.service"
        put 0644 "$units/oracle-$job.timer" < <(at_the_interval "$here/systemd/oracle-$job.timer")
    done
    put 0644 "$units/oracle-notify@.service" <"$here/systemd/oracle-notify@.service"
    if [ -z "$destdir" ] && ! [ -d /run/systemd/system ]; then
        echo "systemd does not run here: the timer is installed, and not started"
        return
    fi
    live systemctl daemon-reload
    live systemctl enable --now oracle-build.timer
    live systemctl start --no-block oracle-build.service
    live systemctl enable --now oracle-backfill.timer oracle-backup.timer
}

# bitcoind touches a file when it has a block, and a build begins at once. Installed again without the option, it stays.
install_blocknotify() {
    [ -n "$node_user" ] || return 0
    put 0644 "$tmpfiles_file" <<TEXT
# The file that bitcoind touches when it has a new block (blocknotify=touch /run/$name/block).
d /run/$name 0755 root root
f /run/$name/block 0644 $node_user root
TEXT
    put 0644 "$units/oracle-build.path" <"$here/systemd/oracle-build.path"
    live systemd-tmpfiles --create "$tmpfiles_file"
    if [ -d /run/systemd/system ]; then
        live systemctl daemon-reload
        live systemctl enable --now oracle-build.path
    fi
}

reload_nginx() {
    if [ -n "$destdir" ]; then
        return
    elif [ -d /run/systemd/system ]; then
        run systemctl reload-or-restart nginx
    elif [ -s /run/nginx.pid ]; then
        run nginx -s reload
    else
        echo "nginx does not run: start it to see the site"
    fi
}

# Why the site cannot have its port, in a sentence; nothing where it can.
port_problem() {
    [ -z "$destdir" ] || return 0
    local others
    others=$(grep -lsE "^[^#]*listen[^;]*[ :]$port( |;)" /etc/nginx/sites-enabled/* /etc/nginx/conf.d/*.conf 2>/dev/null |
        grep -vxF "$site_enabled" | head -n 1 || true)
    if [ -n "$others" ]; then
        echo "port $port belongs to another site of nginx ($others): remove that file if nobody needs it (rm $others), or choose another port (--port 8000)"
    elif [ "$port" != "$port_before" ] && ! is_free; then
        echo "port $port is taken by another program (ss -ltnp shows which): choose another one (--port 8001)"
    fi
}

is_free() {
    "$python" - "$port" <<'PYTHON'
import errno, socket, sys
for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((host, int(sys.argv[1])))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sys.exit(1)
PYTHON
}

install_nginx() {
    [ "$nginx" = yes ] || return 0
    port_before=
    [ ! -L "$site_enabled" ] || port_before=$(sed -n 's/^ *listen \([0-9]*\);.*/\1/p' "$site_available" | head -n 1)
    [ -n "$port" ] || [ ! -f "$site_available" ] ||
        port=$(sed -n 's/^ *listen \([0-9]*\);.*/\1/p' "$site_available" | head -n 1)
    port=${port:-8000}
    site_problem=$(port_problem)
    sed "s/^\( *listen \)8000;/\1$port;/" "$here/nginx/oracle.conf" | put 0644 "$site_available"
    [ -z "$site_problem" ] || return 0
    run install -d -m 0755 "$(dirname "$site_enabled")"
    run ln -sfn "/etc/nginx/sites-available/$name.conf" "$site_enabled"
    if ! live nginx -q -t; then
        run rm -f "$site_enabled"
        site_problem="nginx does not accept its configuration (nginx -t says why); the site is switched off again"
        return 0
    fi
    if [ -z "$destdir" ] && [ "$dry_run" = no ] && [[ $(nginx -T 2>/dev/null) != *"configuration file $site_enabled"* ]]; then
        site_problem="this nginx does not read /etc/nginx/sites-enabled: add the line 'include $site_available;' to the http block of its configuration, and reload it"
        return 0
    fi
    reload_nginx
}

# What a person needs to know now: where the site is, and what is running.
conclude() {
    echo "settings: $etc/oracle.env; check them with: $name doctor"
    if [ "$cron" = no ] && [ -z "$destdir" ] && [ -d /run/systemd/system ]; then
        echo "the first build is running and takes some minutes; watch it: journalctl -fu oracle-build.service"
    fi
    [ -z "$node_user" ] || echo "for bitcoin.conf: blocknotify=touch /run/$name/block"
    if [ -n "$site_problem" ]; then
        echo "install.sh: all is installed but the site: $site_problem; then run install.sh again" >&2
        exit 3
    fi
    [ "$nginx" = no ] || echo "the site: http://$(hostname 2>/dev/null || echo localhost):$port/"
    echo "done"
}

remove_timer() {
    local job
    for job in $jobs; do
        # An older version has installed fewer.
        if [ -z "$destdir" ] && [ -d /run/systemd/system ] && [ -e "$units/oracle-$job.timer" ]; then
            run systemctl disable --now "oracle-$job.timer"
            run systemctl stop "oracle-$job.service"
        fi
        run rm -f "$units/oracle-$job.service" "$units/oracle-$job.timer"
    done
    if [ -z "$destdir" ] && [ -d /run/systemd/system ] && [ -e "$units/oracle-build.path" ]; then
        run systemctl disable --now oracle-build.path
    fi
    run rm -f "$units/oracle-notify@.service" "$units/oracle-build.path" "$tmpfiles_file"
    live rm -rf "/run/$name"
    if [ -d /run/systemd/system ]; then
        live systemctl daemon-reload
    fi
}

remove_all() {
    remove_timer
    run rm -f "$cron_file" "$logrotate_file" "$command_file"
    if [ -L "$site_enabled" ] || [ -e "$site_available" ]; then
        run rm -f "$site_enabled" "$site_available"
        [ "$nginx" = no ] || ! has nginx || reload_nginx
    fi
    run rm -rf "$opt"
    if [ "$purge" = yes ]; then
        run rm -rf "$etc" "$state" "$destdir/var/cache/$name" "$destdir/var/log/$name"
        ! id -u "$name" >/dev/null 2>&1 || live userdel "$name"
    else
        echo "kept: $etc, $state, $destdir/var/cache/$name, $destdir/var/log/$name (--purge removes them)"
    fi
}

if [ "$uninstall" = yes ]; then
    remove_all
    exit 0
fi

[ "$program" = no ] || check_python
[ "$nginx" = no ] || check_nginx
install_user
install_folders
install_program
install_settings
install_command
install_schedule
install_blocknotify
install_nginx
conclude
