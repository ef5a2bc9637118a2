# What scenarios share: a folder, a configuration, processes that end with the scenario, checks that count. Sourced.
set -u
scenarios=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${POUCH_BIN:?the folder of the programs}"
work=$(mktemp -d "${TMPDIR:-/var/tmp}/pouch.XXXXXX")
chmod 755 "$work"
checks=0
children=()
export PATH="$POUCH_BIN:$PATH" LC_ALL=C.UTF-8
unset POUCH_CONF XDG_STATE_HOME

# Ends what the scenario started, by pid, and removes its folder.
clean_up() {
    # A child that is ended before its exec runs this trap too; the folder is not its own.
    [ "$BASHPID" = "$$" ] || return
    for pid in "${children[@]:-}"; do [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

fail() {
    echo "FAILED: $*"
    for log in "$work"/*.log; do
        [ -s "$log" ] && { echo "--- $(basename "$log")"; tail -40 "$log"; }
    done
    exit 1
}

# check WHAT COMMAND... - the command succeeds.
check() {
    local what=$1
    shift
    "$@" || fail "$what"
    checks=$((checks + 1))
}

# equal WHAT EXPECTED FOUND
equal() {
    [ "$2" = "$3" ] || fail "$1: expected «$2», found «$3»"
    checks=$((checks + 1))
}

# status WHAT EXPECTED COMMAND... - the command ends so; its diagnosis is in $work/stderr.
status() {
    local what=$1 expected=$2 got=0
    shift 2
    "$@" 2>"$work/stderr" || got=$?
    [ "$got" = "$expected" ] || fail "$what: expected status $expected, got $got: $(cat "$work/stderr")"
    checks=$((checks + 1))
}

# until_true SECONDS COMMAND... - tries until it succeeds; the only waiting there is.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.05
    done
}

# eventually WHAT SECONDS COMMAND...
eventually() {
    local what=$1
    shift
    until_true "$@" || fail "$what: not within $1 s"
    checks=$((checks + 1))
}

# start NAME COMMAND... - in the background, its words in $work/NAME.log; its pid in $pid.
start() {
    local name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 </dev/null &
    pid=$!
    children+=("$pid")
}

# A port that was free a moment ago.
free_port() {
    /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# unpacked NAME PACKAGE FILE - a Debian package unpacked aside, never installed; its folder in $unpacked. In a namespace
# without network only what `fetch-peers` unpacked before is there.
unpacked() {
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}/pouch-peers
    unpacked=$cache/$1
    [ ! -e "$unpacked/$3" ] || return 0
    mkdir -p "$cache" && (
        cd "$cache" && rm -f "$2"_*.deb && apt-get -o APT::Sandbox::User=root download -qq "$2" && dpkg -x "$2"_*.deb "$1"
    ) && [ -e "$unpacked/$3" ] && return
    can_not "Debian's package $2 can't be had here"
}

# Postfix's smtp-source and smtp-sink; sets MAILTOOLS.
need_postfix_tools() {
    unpacked postfix postfix usr/sbin/smtp-source
    MAILTOOLS=$unpacked/usr/sbin
    export LD_LIBRARY_PATH=$unpacked/usr/lib/postfix
}

# The messages that CPython's email package is tested with; sets TEST_MAIL.
need_test_mail() {
    unpacked testsuite libpython3.11-testsuite usr/lib/python3.11/test/test_email/data/msg_01.txt
    TEST_MAIL=$unpacked/usr/lib/python3.11/test/test_email/data
}

# OpenSMTPD, whose `smtpd -n` judges configurations; sets SMTPD, and SMTPD_MANUALS with its pages.
need_opensmtpd() {
    unpacked opensmtpd opensmtpd usr/sbin/smtpd
    SMTPD=$unpacked/usr/sbin/smtpd SMTPD_MANUALS=$unpacked/usr/share/man SMTPD_CONF=$unpacked/etc/smtpd.conf
}

# python FILE WORDS... - with the modules that the drivers share.
python() { PYTHONPATH="$scenarios/python" PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$@"; }

# drive DRIVER NAME WORDS... - with an empty folder of that name before the words; its counts are in $work/NAME.counts.
drive() {
    local driver=$1 name=$2
    shift 2
    mkdir -p "$work/$name"
    chmod 755 "$work/$name"
    python "$driver" "$work/$name" "$@" >"$work/$name.counts" 2>&1 && return
    for log in "$work/$name"/*.log; do
        echo "--- $(basename "$log")"
        tail -6 "$log"
    done
    echo "--- the counts"
    tail -25 "$work/$name.counts"
    fail "$(basename "$(dirname "$driver")") $name $*"
}

# can_not REASON - the scenario can't run here.
can_not() {
    echo "$*"
    exit 77
}

finish() { echo "ok $checks checks"; }
