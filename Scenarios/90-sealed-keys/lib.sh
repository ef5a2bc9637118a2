# Sourced after ../lib.sh and ../80-supervise/lib.sh: configurations with keys, and where keys must not be seen.

# configure LINE... - beside what every one has; mode 0600.
configure() {
    (umask 077 && cat >"$conf.new") <<END
$(printf '%s\n' "$@")
queue directory "$spool"
agent socket "$work/agent.sock"
supervise user none
mta retry 1s
listen on 127.0.0.1 port $port hostname first.example
action "here" maildir "$work/mail/%{dest.user}" user "$deliverer"
match from any for any action "here"
END
    mv "$conf.new" "$conf"
}
queue() { mail-queue -C "$conf" "$@"; }
submit() { sed -n "s/^$1 //p" "$work/submit.conf"; }
key_state() { stat -c '%i %a %Y' "$spool/spool.key" && cat "$spool/spool.key"; }
says() { grep -qF -- "$1" "$work/stderr" || fail "expected «$1» in: $(cat "$work/stderr")"; checks=$((checks + 1)); }
one_sentence() { equal "$1: one line" 1 "$(wc -l <"$work/stderr")"; }

# remember_secrets - what must be seen nowhere, one a line: the passphrases and the keys themselves.
remember_secrets() {
    {
        printf '%s\n' foobarbaz "another one, longer"
        queue keys writer | cut -d' ' -f5
        queue keys private | cut -d' ' -f3- | tr ' ' '\n'
    } 2>/dev/null >"$work/secrets"
    equal "there are secrets to look for" 4 "$(grep -c . "$work/secrets")"
}
# nothing_shown WHAT PID... - neither arguments nor environment of a process hold a secret.
nothing_shown() {
    local what=$1
    shift
    for one in "$@"; do
        for place in cmdline environ; do
            # What dumps no core shows its environment to root alone.
            [ $place = cmdline ] || [ "$(id -u)" = 0 ] || { [ ! -r "/proc/$one/environ" ] && continue; }
            check "$what: process $one has a $place" [ -n "$(tr -d '\0' <"/proc/$one/$place")" ]
            ! tr '\0' '\n' <"/proc/$one/$place" | grep -qFf "$work/secrets" || fail "$what: a secret in /proc/$one/$place"
            checks=$((checks + 1))
        done
        ! ls -l "/proc/$one/fd" 2>/dev/null | grep -q memfd: || fail "$what: process $one keeps a key's descriptor"
        equal "$what: process $one dumps no core" 0 "$(awk '/^Max core file size/ { print $5 }' "/proc/$one/limits")"
    done
}
options_of() { tr '\0' ' ' <"/proc/$1/cmdline"; }
