# Sourced after ../lib.sh: mail-supervise with one configuration, its children, sessions with what it runs.

conf=$work/pouch.conf
spool=$work/spool
ready=$work/ready
supervisor=

# configure HOSTNAME [LINE...] - with lines that stand before the others.
configure() {
    local name=$1
    shift
    cat >"$conf.new" <<END
$(printf '%s\n' "$@")
queue directory "$spool"
agent socket "$work/agent.sock"
mta retry 1s
listen on 127.0.0.1 port $port hostname $name
action "here" maildir "$work/mail/%{dest.user}" user "$deliverer"
match from any for any action "here"
END
    chmod 644 "$conf.new"
    mv "$conf.new" "$conf"
}

# supervise [NAME=VALUE...] - starts it; $supervisor.
supervise() {
    : >"$ready"
    start supervise env "$@" mail-supervise -C "$conf" --ready-fd 4 4>"$ready"
    supervisor=$pid
}
is_ready() { [ -s "$ready" ]; }
log() { cat "$work/supervise.log"; }
# logged TIMES TEXT
logged() { [ "$(grep -cF -- "$2" "$work/supervise.log")" = "$1" ]; }
said() { grep -qF -- "$1" "$work/stderr"; }
says_only() { equal "$1: all it says" "mail-supervise: $2" "$(cat "$work/stderr")"; }
gone() { for one in "$@"; do [ ! -e "/proc/$one" ] || return 1; done; }

# children - "PID NAME" of each; the agent is called agent.
children() {
    ps -o pid=,args= --ppid "$supervisor" | while read -r id program arguments; do
        case $arguments in *--agent*) echo "$id agent" ;; *) echo "$id $(basename "$program")" ;; esac
    done
}
child() { children | awk -v name="$1" '$2 == name { print $1 }'; }
# another NAME PID - one of that name runs, and it is not that one.
another() { local now; now=$(child "$1"); [ -n "$now" ] && [ "$now" != "$2" ]; }

# stop WHAT - by SIGTERM; it ends with 0.
stop() {
    kill -TERM "$supervisor"
    wait "$supervisor"
    equal "$1: status after SIGTERM" 0 $?
}

# Sessions: open FD PORT, say FD LINE, hear FD CODE; what was heard last is in $heard.
open() { eval "exec $1<>/dev/tcp/127.0.0.1/$2"; }
say() { printf '%s\r\n' "$2" >&"$1"; }
hear() {
    while read -r -t 20 heard <&"$1" && [ "${heard:3:1}" = - ]; do :; done
    heard=${heard%$'\r'}
    equal "a reply" "$2" "${heard:0:3}"
}
begin() {
    open "$1" "$2"
    hear "$1" 220
    greeting=$heard
    say "$1" "EHLO client.example"
    hear "$1" 250
}
# transaction FD RECIPIENT TEXT
transaction() {
    say "$1" "MAIL FROM:<sender@client.example>"
    hear "$1" 250
    say "$1" "RCPT TO:<$2>"
    hear "$1" 250
    say "$1" DATA
    hear "$1" 354
    printf 'Subject: %s\r\n\r\n%s\r\n.\r\n' "$3" "$3" >&"$1"
    hear "$1" 250
}
# A listener that is being replaced this moment says 421 to a session without a transaction.
quit() {
    say "$1" QUIT
    read -r -t 20 heard <&"$1"
    check "a reply to QUIT: ${heard%$'\r'}" grep -qE '^(221|421) ' <<<"$heard"
    eval "exec $1>&-"
}
# arrived USER TEXT - a message with that text lies in the user's Maildir.
arrived() { grep -rqsF -- "$2" "$work/mail/$1/new"; }
# mail_passes WHAT TOKEN - by SMTP and by mail-enqueue.
mail_passes() {
    begin 5 "$port"
    transaction 5 anna@first.example "smtp $2"
    quit 5
    status "$1: mail-enqueue" 0 mail-enqueue -C "$conf" otto <<<"enqueued $2"
    eventually "$1: mail by SMTP arrives" 20 arrived anna "smtp $2"
    eventually "$1: mail by mail-enqueue arrives" 20 arrived otto "enqueued $2"
}
# Everything of the folder: names, modes, owners, times, sizes.
snapshot() { find "$work" -mindepth 1 -path "$work/stderr" -prune -o -path "$work/out" -prune -o -printf '%p %m %U %G %s %T@ %C@\n' | sort; }
