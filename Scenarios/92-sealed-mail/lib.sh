# Sourced after ../lib.sh: a sealed queue with a listener, a runner, an agent and the next server, each up or down as a
# part wants it; messages whose every piece has a word that must be found nowhere on the spool.

conf=$work/pouch.conf
spool=$work/spool
mkdir -p "$work/mail" "$work/sent" "$work/taken"
port=$(free_port) next=$(free_port)
deliverer=$(id -un)
if [ "$(id -u)" = 0 ]; then
    deliverer=nobody
    chown nobody "$work/mail"
fi
# In every address, header and body, and in what the next server answers.
word=zanzibar
export PYTHONDONTWRITEBYTECODE=1

# configure LINE... - beside what every one has; mode 0600, since it may hold a passphrase.
configure() {
    (umask 077 && cat >"$conf.new") <<END
$(printf '%s\n' "$@")
queue directory "$spool"
agent socket "$work/agent.sock"
supervise user none
mta retry 1s
smtp max-message-size 300M
listen on 127.0.0.1 port $port hostname mx.$word.example
action "here" maildir "$work/mail/%{dest.user}" user "$deliverer"
action "next" relay host "smtp://127.0.0.1:$next"
match from any for domain "here.example" action "here"
match from any for any action "next"
END
    mv "$conf.new" "$conf"
}
queue() { mail-queue -C "$conf" "$@"; }
initialise() { queue init --quiet >"$work/init.out" 2>&1 || fail "init: $(cat "$work/init.out")"; }
ids() { queue list --json | jq -r '.id // empty'; }
empty() { [ -z "$(queue list --json)" ]; }
said() { grep -qF -- "$1" "$work/stderr"; }
says() { said "$1" || fail "expected «$1» in: $(cat "$work/stderr")"; checks=$((checks + 1)); }

# --- programs, up and down
listen_up() { start listen mail-listen -C "$conf" "$@"; listener=$pid; eventually "the listener listens" 20 port_open "$port"; }
relay_up() { start relay mail-relay -C "$conf" "$@"; relay=$pid; eventually "the runner runs" 20 test -S "$spool/run/control"; }
agent_up() { start agent mail-relay -C "$conf" --agent; eventually "the agent runs" 20 test -S "$work/agent.sock"; }
# sink_up [TEXT] - the next server; with TEXT it says 451 TEXT to everything.
sink_up() { start sink "$here/sink.py" "$next" "$work/taken" "$@"; sink=$pid; eventually "the next server listens" 20 port_open "$next"; }
down() { kill -TERM "$1"; wait "$1" 2>/dev/null; }
listen_down() { down "$listener"; }
relay_down() { down "$relay"; }
sink_down() { kill -9 "$sink"; wait "$sink" 2>/dev/null; }

# --- mail
# by_smtp NAME... - one session; by_stdio NAME... - a segment for each; by_command NAME... - mail-enqueue. Each goes to
# recipients at $places: next, here, both.
places=both
by_smtp() { "$here/mail.py" smtp "$port" "$work/sent" $places "$@" || fail "mail by SMTP: $*"; }
by_stdio() { "$here/mail.py" stdio "$conf" "$work/sent" $places "$@" || fail "mail by SMTP on standard input: $*"; }
by_command() {
    local name place
    for name in "$@"; do
        set --
        for place in next here; do
            case $places in $place | both) set -- "$@" "$word-$name@$place.example" ;; esac
        done
        mail-enqueue -C "$conf" -i -f "$word-from@$word.example" "$@" <"$work/sent/$name" || fail "mail-enqueue: $name"
    done
}
# write_mail OCTETS NAME...
write_mail() {
    local octets=$1
    shift
    "$here/mail.py" write "$octets" "$work/sent" "$@" || fail "writing mail"
}
# came PLACES NAME... - each came there once, byte for byte, and nothing else did; PLACES is `next`, `here` or `both`.
came() { "$here/mail.py" came "$work/sent" "$work/taken" "$work/mail" "$@"; }

# in_clear - files of the spool in which something of the mail can be read. Names and what programs say count too.
in_clear() { grep -rlaiF -e "$word" -f "$work/patterns" "$spool" 2>/dev/null; }
nothing_in_clear() { equal "$1: nothing of the mail is in clear on the spool" "" "$(in_clear)"; }
quarantined() { ls "$spool/quarantine" | grep -vc '\.reason$'; }
reasons() { cat "$spool"/quarantine/*.reason 2>/dev/null; }
