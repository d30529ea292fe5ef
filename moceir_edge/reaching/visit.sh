# What a visit does on a computer, one step a call:  sh -c "$(cat visit.sh)" visit STEP TOKEN ARGUMENT...
#
# POSIX sh with coreutils or busybox. All of it stays in one folder, which only one visit has at a time: the one whose
# token is in `owner`. `alive` changes while the visitor is there; a guard that stays behind removes everything when it
# has not changed for long, so that a visitor who is gone for good leaves nothing. For as long as a visitor may be silent
# between two attempts, the guard's own sign of life, `patient`, tells other visitors that the folder is taken.
#
# Exit codes of our own, none of which the runner uses: 97 the folder is not ours any more, 98 the home takes no folder.

LC_ALL=C
export LC_ALL
umask 077
step=$1
token=$2
folder=$HOME/.moceir-edge-visit
shift 2
printf '%s\n' "$token" # what a login shell says before this line is not ours

owned() {
    [ "$(cat "$folder/owner" 2>/dev/null)" = "$token" ]
}

# Changes with every sign of life of the visitor: a beat, or a file that grows.
pulse() {
    cat "$folder/alive" 2>/dev/null
    ls -ln "$folder" 2>/dev/null | grep -v -e '^total ' -e ' patient$'
}

# Changes with every sign of a visit that goes on, be it of its guard.
taken() {
    pulse
    cat "$folder/patient" 2>/dev/null
}

# Whether the program that `start` started still runs; a number may belong to another one since.
working() {
    pid=$(cat "$folder/work" 2>/dev/null) && [ -n "$pid" ] || return 1
    { cat "/proc/$pid/environ" 2>/dev/null || ps eww -p "$pid" 2>/dev/null; } | tr '\0' '\n' | grep -q MOCEIR_EDGE_VISIT
}

stop_work() {
    working || return 0
    kill -s TERM -- "-$pid" 2>/dev/null || kill -s TERM "$pid" 2>/dev/null
    tries=0
    while working && [ "$tries" -lt 5 ]; do
        sleep 1
        tries=$((tries + 1))
    done
    kill -s KILL -- "-$pid" 2>/dev/null || kill -s KILL "$pid" 2>/dev/null
    return 0
}

# A program in a group of its own, which can be stopped as a whole; its input is descriptor 4.
start() {
    MOCEIR_EDGE_VISIT=$token
    export MOCEIR_EDGE_VISIT
    if command -v setsid >/dev/null; then
        setsid "$@" <&4 3<&- 4<&- &
    else
        "$@" <&4 3<&- 4<&- &
    fi
    started=$!
    echo "$started" >"$folder/work"
}

guard() { # seconds between two looks; looks without a sign of life until everything goes, and while the visit goes on
    exec </dev/null >/dev/null 2>&1 # by exec, for otherwise dash keeps copies of them, and the connection stays open
    trap '' HUP
    idle=0
    looks=0
    seen=
    while sleep "$1" && owned; do
        now=$(pulse)
        idle=$((idle + 1))
        looks=$((looks + 1))
        [ "$now" = "$seen" ] || idle=0
        seen=$now
        if [ "$idle" -ge "$2" ]; then
            leave
        elif [ "$idle" -le "$3" ] && owned; then
            echo "$looks" >"$folder/patient"
        fi
    done
}

# Have the folder, from nobody, from an earlier call of this visit, or from a visit that is dead.
take_over() { # previous token, seconds in which a living visit shows itself
    if mkdir "$folder" 2>/dev/null; then
        echo "$token" >"$folder/owner" && return 0
        rm -rf "$folder"
        exit 98
    fi
    [ -d "$folder" ] || exit 98
    before=$(cat "$folder/owner" 2>/dev/null)
    if [ -z "$1" ] || [ "$before" != "$1" ]; then
        seen=$(taken)
        waited=0
        while [ "$waited" -lt "$2" ]; do
            sleep 1
            waited=$((waited + 1))
            [ "$(taken)" = "$seen" ] || return 1
        done
    fi
    # Of several that come now, one creates this file; an old one is of a visit that died just then.
    find "$folder" -name 'after-*' -mmin +1 -exec rm -f {} + 2>/dev/null
    (set -C && : >"$folder/after-$(printf %s "$before" | tr -cd 0-9a-f)") 2>/dev/null || return 1
    echo "$token" >"$folder/owner" && return 0
    rm -rf "$folder"
    exit 98
}

find_python() { # name or path
    case $1 in
        "~/"*) found=$HOME/${1#"~/"} ;;
        *) found=$(command -v "$1") || return 1 ;;
    esac
    case $found in
        /*) ;;
        *) found=$PWD/$found ;;
    esac
}

# What is there already of a file: its size and sha256, for the visitor to compare. -I: without it, Python would take a
# hashlib.py of the folder that we are in, which is the user's home.
tell_part() {
    "$1" -I -c '
import hashlib, os, sys
for name in sys.argv[2:]:
    path = os.path.join(sys.argv[1], name)
    if os.path.isfile(path):
        with open(path, "rb") as stream:
            digest = hashlib.sha256()
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
        print("part", name, os.path.getsize(path), digest.hexdigest())
' "$folder" \
        runner.pyz.part bundle.tar.gz.part public.pem.part runner.pyz bundle.tar.gz public.pem
}

tell_free() {
    df -Pk "${folder%/*}" | awk 'NR == 2 { print "free", $4 }'
}

enter() { # previous token, sha256 of the bundle, python, seconds between beats, and the beats that guard takes
    tell_free # for those who get no further
    if ! take_over "$1" "$((2 * $4 + 1))"; then
        echo busy
        return 0
    fi
    stop_work
    [ "$(cat "$folder/bundle" 2>/dev/null)" = "$2" ] || rm -f "$folder"/runner.pyz* "$folder"/bundle* "$folder"/public.pem*
    rm -rf "$folder/unpacked" "$folder/scratch" "$folder"/after-* "$folder/result.json"
    rm -f "$folder/work" "$folder/alive" "$folder/patient"
    mkdir "$folder/scratch" && echo "$2" >"$folder/bundle" || exit 98
    guard "$4" "$5" "$6" &
    tell_free
    # No -I: a Python that is too old to have it has to say so. sys is part of the program, in no file.
    find_python "$3" && version=$("$found" -c 'import sys; print("%d %d" % sys.version_info[:2])' 2>/dev/null) || return 0
    echo "python $version $found"
    tell_part "$found"
}

upload() { # name, bytes to keep of what is there; the others come in
    [ "$2" -gt 0 ] || : >"$folder/$1.part" || return
    exec 4<&0
    start cat >>"$folder/$1.part"
    wait "$started"
}

uploaded() { # name, sha256, python
    told=$(tell_part "$3") || return
    told=$(printf '%s\n' "$told" | awk -v name="$1.part" '$2 == name { print $4 }')
    if [ "$told" != "$2" ]; then
        rm -f "$folder/$1.part"
        echo differs
        return 0
    fi
    mv -f "$folder/$1.part" "$folder/$1"
}

# Lines come in as signs of life, and where they end, so does the program.
beats() {
    exec >/dev/null 2>&1
    while read -r beat; do
        echo "$beat" >"$folder/alive"
    done
    stop_work
}

work() { # folder below ours, word...
    cd "$folder/$1" || return
    shift
    TMPDIR=$folder/scratch
    XDG_CACHE_HOME=$folder/scratch
    PYTHONDONTWRITEBYTECODE=1
    export TMPDIR XDG_CACHE_HOME PYTHONDONTWRITEBYTECODE
    exec 3<&0 4</dev/null
    start "$@"
    beats <&3 &
    listener=$!
    wait "$started"
    code=$?
    kill "$listener" 2>/dev/null
    rm -f "$folder/work"
    return "$code"
}

fetch() { # name
    cat "$folder/$1"
}

leave() { # previous token: of an attempt that got no further
    owned || [ "$(cat "$folder/owner" 2>/dev/null)" = "${1:-none}" ] || return 0
    stop_work
    cd /
    rm -f "$folder/owner" # first, so that the guard writes nothing more; it may just be at it
    rm -rf "$folder" 2>/dev/null || { sleep 1 && rm -rf "$folder"; }
}

case $step in
    enter) ;;
    leave) ;;
    *) owned || exit 97 ;;
esac
"$step" "$@"
