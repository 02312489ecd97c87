#!/usr/bin/env bash
# The image keeps its promises: built from the Dockerfile, run as nobody on a read-only disk, it answers a call,
# says that it is well, and says goodbye before it stops.
#
# No registry is needed. The base image is put together here, from Debian's own packages and the installed Rust
# toolchain, under the name the Dockerfile asks for. So this proves the Dockerfile and the program, not what
# upstream's base image holds. Base and layers are kept in the cache; a second run builds only what changed.
#
#   tests/container.sh [FOLDER WITH A DOCKERFILE]
set -euo pipefail

# ---- The program's side of the bargain, in one place -------------------------------------------------------------
MODEL() { echo sim model --listen "127.0.0.1:$1"; }
PHONE() { # URL of the webhook; hears /sound/caller.wav, writes what it heard
  echo sim phone "$1" --wav /sound/caller.wav --out /sound/heard.wav \
    --auth-token "$TOKEN" --account-sid "$ACCOUNT" --to +15005550006
}
TOKEN=0123456789abcdef0123456789abcdef
ACCOUNT=ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
WEBHOOK=/twilio/voice
ANSWERED='"event":"call.answered"'         # in the log once a call is on
ENDED='"event":"call.ended"'               # in the log once it is over ...
GOODBYE='"cause":"drain"'                  # ... and on the same line, when it was told to say goodbye
DEMO_TELLS=('the caller hung up' 'said goodbye .spend' 'said goodbye .duration') # three endings; as in stage_demo of ../test
SETTINGS() { # PORT MODEL_PORT
  cat <<TOML
[server]
listen = "127.0.0.1:$1"
public_url = "http://127.0.0.1:$1"
[log]
format = "json"
[model.main]
dialect = "openai"
url = "ws://localhost:$2/v1/realtime"
model = "gpt-realtime-2.1"
[agent.desk]
numbers = ["*"]
models = ["main"]
instructions = "You answer the phone."
greeting = "Greet the caller."
[agent.desk.cap]
spend = { warn = 0.40, end = 0.50 }
duration = { warn = "4m", end = "5m" }
TOML
}
LARGEST_MB=40
# -------------------------------------------------------------------------------------------------------------------

context=$(realpath "${1:-$(dirname "$0")/..}")
cache=${RINGFENCE_TEST_CACHE:-$HOME/.cache/ringfence-test}/containers
image=localhost/ringfence:test
mkdir -p "$cache/tmp"
work=$(mktemp -d)
chmod 755 "$work" # its files are read by a user without a name
exec 9>"$cache/lock"
flock 9 # one run at a time: the storage is shared

started() { date +%s%N; }
took() { printf '  %-44s %6.1f s\n' "$1" "$(awk "BEGIN { print ($(date +%s%N) - $2) / 1e9 }")"; }
fail() {
  printf 'container: %s\n' "$1" >&2
  for name in server model phone; do
    podman container exists "rf-$name" 2>/dev/null || continue
    printf '%s\n' "--- last words of $name" >&2
    podman logs --tail 20 "rf-$name" >&2 || true
  done
  exit 1
}

# Our own storage and settings, apart from whatever the machine runs.
storage() {
  local driver=overlay
  grep -qw overlay /proc/filesystems && [ "$(stat -f -c %T "$cache")" != overlayfs ] || driver=vfs
  export CONTAINERS_STORAGE_CONF=$cache/storage.conf CONTAINERS_CONF=$cache/containers.conf TMPDIR=$cache/tmp
  cat >"$CONTAINERS_STORAGE_CONF" <<CONF
[storage]
driver = "$driver"
graphroot = "$cache/graph"
runroot = "$cache/run"
CONF
  # Limits that can be kept without raising any, and a runtime that knows old and new control groups.
  cat >"$CONTAINERS_CONF" <<CONF
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
netns = "host"
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "$cache/run/libpod"
[engine.runtimes]
runc = ["$(command -v runc || echo /usr/sbin/runc)"]
CONF
}

tidy() {
  podman rm -f --ignore -t 1 rf-server rf-model rf-phone >/dev/null 2>&1 || true
  buildah rm -a >/dev/null 2>&1 || true
  rm -rf --one-file-system "$work"
}

# The official image, as near as Debian's packages come: a minimal bookworm, a C compiler, and Rust at its address.
base() {
  local rust tag root mirror sysroot
  rust=$(rustc --version | cut -d' ' -f2)
  tag=docker.io/library/rust:$(sed -n 's/^ARG RUST_VERSION=//p' "$context/Dockerfile")-slim-bookworm
  case $rust in
    "$(sed -n 's/^ARG RUST_VERSION=//p' "$context/Dockerfile")"*) ;;
    *) fail "the Dockerfile wants another Rust than $rust" ;;
  esac
  if [ "$(podman image inspect --format '{{index .Config.Labels "rust"}}' "$tag" 2>/dev/null)" = "$rust" ]; then
    return
  fi
  root=$work/base
  mirror=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2>/dev/null ||
    awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^http/) { print $i; exit } }' /etc/apt/sources.list)
  [ -n "$mirror" ] || fail "no Debian mirror in /etc/apt"
  debootstrap --variant=minbase --include=ca-certificates,gcc,libc6-dev bookworm "$root" "$mirror" >"$work/debootstrap.log" 2>&1 ||
    { tail -n 20 "$work/debootstrap.log" >&2; fail "debootstrap failed"; }
  sysroot=$(rustc --print sysroot)
  mkdir -p "$root/usr/local/cargo"
  tar -C "$sysroot" --exclude=./share -cf - . | tar -C "$root/usr/local/cargo" --no-same-owner -xf -
  tar -C "$root" --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*_*' --exclude='./usr/share/doc/*' \
    --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' --exclude='./var/log/*' --exclude='./dev/*' \
    --exclude='./proc/*' --exclude='./sys/*' -cf - . |
    podman import -q --change "LABEL rust=$rust" --change 'ENV CARGO_HOME=/usr/local/cargo' \
      --change 'ENV PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
      - "$tag" >/dev/null
  rm -rf --one-file-system "$root"
}

build() {
  # The machine's own certificates, lent to the build only: whoever stands between us and the registry is in there.
  local certificates=/etc/ssl/certs/ca-certificates.crt
  buildah bud --isolation chroot --network host --layers --format docker --pull-never \
    -v "$certificates:$certificates:ro" -t "$image" "$context" >"$work/build.log" 2>&1 ||
    { tail -n 40 "$work/build.log" >&2; fail "the image does not build"; }
}

# Everything taken away that can be taken away.
# (The engine's own health timer wants systemd; whether the check works is asked for below, by hand.)
locked_down() { podman run --read-only --cap-drop ALL --security-opt no-new-privileges --pids-limit 256 -m 256m "$@"; }

what_is_inside() {
  local bytes files
  bytes=$(podman image inspect --format '{{.Size}}' "$image")
  awk "BEGIN { printf \"  image size: %.1f MB (largest allowed: %d)\n\", $bytes / 1e6, $LARGEST_MB }"
  [ "$bytes" -lt $((LARGEST_MB * 1000000)) ] || fail "the image is too large"
  [ "$(podman image inspect --format '{{.Config.User}}' "$image")" = 65532:65532 ] || fail "the image does not run as 65532"
  podman create --no-healthcheck --name rf-server "$image" >/dev/null
  files=$(podman export rf-server | tar -tf -)
  podman rm rf-server >/dev/null
  # What the engine itself adds to an empty image is dev, etc, proc, run and sys.
  if grep -vE '^(ringfence|data/|config/.*|etc/.*|dev/.*|proc/|run/.*|sys/)$' <<<"$files"; then
    fail "the image holds files that it does not need"
  fi
  if podman run --no-healthcheck --rm --entrypoint /bin/sh "$image" -c true >/dev/null 2>&1; then fail "there is a shell inside"; fi
}

demo() {
  local words
  locked_down --no-healthcheck --rm --network none "$image" demo >"$work/demo.log" 2>&1 ||
    { tail -n 20 "$work/demo.log" >&2; fail "the demo failed without a network"; }
  for words in "${DEMO_TELLS[@]}"; do
    grep -qiE "${words// /.?}" "$work/demo.log" || { cat "$work/demo.log" >&2; fail "the demo does not tell of $words"; }
  done
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Waits until a command succeeds: NAME SECONDS COMMAND...
until_true() {
  local name=$1 end=$((SECONDS + $2))
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || fail "waited in vain: $name"
    sleep 0.1
  done
}

log_has() { podman logs rf-server 2>&1 | grep -qF "$1"; }
exit_code() { podman wait "$1"; }

# A caller who talks for longer than this test takes, and a place for what he heard.
sound() {
  local voice
  mkdir -m 777 "$work/sound"
  voice=$(find "$context/config" -name 'ask-order.wav' -print -quit)
  [ -n "$voice" ] || voice=$(dirname "$0")/../config/scenarios/voices/ask-order.wav
  sox "$voice" "$work/sound/caller.wav" pad 0 1 repeat 15
}

serve_a_call() {
  local port model_port pid
  port=$(free_port) model_port=$(free_port)
  SETTINGS "$port" "$model_port" >"$work/test.toml"
  sound
  # shellcheck disable=SC2046 # the flags are words
  locked_down --no-healthcheck -d --name rf-model "$image" $(MODEL "$model_port") >/dev/null
  locked_down -d --name rf-server -v "$work/test.toml:/config/ringfence.toml:ro" -e OPENAI_API_KEY=sk-test \
    -e TWILIO_AUTH_TOKEN="$TOKEN" -e TWILIO_ACCOUNT_SID="$ACCOUNT" \
    "$image" >/dev/null 2>"$work/serve.log" ||
    { cat "$work/serve.log" >&2; fail "the server does not start"; }
  until_true "the server's door" 10 curl -fsS --noproxy '*' "http://127.0.0.1:$port/healthz"
  podman healthcheck run rf-server || fail "the health check says no"

  pid=$(podman inspect --format '{{.State.Pid}}' rf-server)
  grep -qE '^Uid:\s+65532\s+65532' "/proc/$pid/status" || fail "the server runs as somebody else"
  grep -qE '^CapEff:\s+0+$' "/proc/$pid/status" || fail "the server holds capabilities"
  grep -qE '^NoNewPrivs:\s+1$' "/proc/$pid/status" || fail "the server could gain privileges"

  # shellcheck disable=SC2046 # the flags are words
  locked_down --no-healthcheck -d --name rf-phone -v "$work/sound:/sound" "$image" \
    $(PHONE "http://127.0.0.1:$port$WEBHOOK") >/dev/null
  until_true "a call" 15 log_has "$ANSWERED"
  sleep 2 # the caller talks, the model greets

  local stopped
  stopped=$(started)
  podman stop -t 40 rf-server >/dev/null 2>&1
  took "from SIGTERM to the end, a call being on" "$stopped"
  [ "$(exit_code rf-server)" = 0 ] || fail "the server did not end well"
  podman logs rf-server 2>&1 | grep -F "$ENDED" | grep -qF "$GOODBYE" || fail "the call was not told goodbye"
  [ "$(exit_code rf-phone)" = 0 ] || fail "the phone was not hung up on politely"
  [ -s "$work/sound/heard.wav" ] || fail "the caller heard nothing"
  podman rm -f --ignore -t 1 rf-model >/dev/null 2>&1
}

storage
trap tidy EXIT
podman rm -f --ignore -t 1 rf-server rf-model rf-phone >/dev/null 2>&1 || true # left by a run that was cut short
for step in base build what_is_inside demo serve_a_call; do
  begun=$(started)
  "$step"
  took "${step//_/ }" "$begun"
done
# Layers older than three days that no image holds any more.
podman image prune -f --filter until=72h >/dev/null 2>&1 || true
echo "container: the image keeps its promises"
