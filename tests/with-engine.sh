#!/usr/bin/env bash
# Run a command beside a private Docker engine: tests/with-engine.sh go test ./supervisor/engine/...
#
# The engine lives in mount, network and process namespaces of its own, with its own containerd, sockets, bridge,
# iptables and control groups, so it neither sees nor disturbs an engine of this host (a second dockerd beside a running
# one deletes its bridge). When the command ends, however it ends, the process namespace is killed and takes every
# process, mount and interface along; the folder and the control groups are removed after it.
#
# The command sees: DOCKER_HOST and CASTELLAN_TEST_ENGINE (unix://…), CASTELLAN_TEST_CGROUP (parent of all control
# groups), a TMPDIR of its own, 127.0.0.1, and 192.0.2.2 as a host address that is not loopback. It has no network, so
# Go modules must be in the cache already. Its exit code is the script's. Needs root; asks sudo when it is there.
set -euo pipefail

packages="docker.io iptables iproute2 curl chromium"
ready_within=60 # seconds for the engine to answer; 0.3 is usual

say() { echo "with-engine: $*" >&2; }

# outside prepares the machine, enters the namespaces and cleans up behind them.
outside() {
    [ $# -gt 0 ] || { say "usage: $0 COMMAND…"; exit 2; }
    [ -z "${CASTELLAN_TEST_ENGINE:-}" ] || exec "$@" # an outer run has made one
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || { say "needs root for its namespaces: run it as root or install sudo"; exit 1; }
        exec sudo --preserve-env env "PATH=$PATH" "HOME=$HOME" "$BASH" "$0" "$@"
    fi
    PATH=$PATH:/usr/sbin:/sbin
    local tool
    for tool in dockerd containerd runc iptables ip curl chromium; do
        command -v $tool >/dev/null || { install; break; }
    done

    dir=$(mktemp -d "${TMPDIR:-/tmp}/ce.XXXXXX") # short: the path of a socket has at most 107 bytes
    group=castellan-test-$$
    child=
    trap cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    # The process namespace dies with unshare, and unshare with us, even when we are killed.
    setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private \
        "$BASH" "$0" --inside "$dir" "$group" "$@" <&0 &
    child=$!
    local code=0
    wait $child || code=$?
    exit $code
}

install() {
    say "installing $packages"
    # RUNLEVEL=1: the services are not to be started by their packages.
    apt-get update -qq >&2 &&
        DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $packages >&2 ||
        { say "cannot install $packages: install them by hand and try again"; exit 1; }
}

cleanup() {
    trap '' INT TERM HUP
    if [ -n "$child" ]; then
        kill -KILL "$child" 2>/dev/null || true # already gone when the command ended by itself
        wait "$child" 2>/dev/null || true
    fi
    # The kernel lets go of the namespaces' mounts and control groups a moment after the last process.
    local try
    for try in $(seq 100); do
        find /sys/fs/cgroup -depth -type d -path "*/$group*" -exec rmdir {} + 2>/dev/null || true
        rm -rf --one-file-system "$dir" 2>/dev/null || true
        [ -e "$dir" ] || [ -n "$(find /sys/fs/cgroup -type d -name "$group" 2>/dev/null)" ] || return 0
        sleep 0.1
    done
    say "cannot remove $dir or the control groups $group"
}

# inside is process 1 of the namespaces: it starts the engine, runs the command, and its end ends everything.
inside() {
    dir=$1 group=$2
    shift 2
    mkdir "$dir/tmp" "$dir/containerd" "$dir/data" "$dir/exec"
    chmod 1777 "$dir/tmp"
    # Whatever an engine writes outside its own folders (sockets, locks, its key) stays in here.
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir -p /run/lock
    if [ -d /etc/docker ]; then mount -t tmpfs tmpfs /etc/docker; fi
    ip link set lo up
    ip addr add 192.0.2.2/32 dev lo
    nest_cgroup2

    cat >"$dir/containerd.toml" <<-TOML
		version = 2
		root = "$dir/containerd/root"
		state = "$dir/containerd/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
		[grpc]
		  address = "$dir/c.sock"
		[plugins."io.containerd.internal.v1.opt"]
		  path = "$dir/containerd/opt"
	TOML
    echo '{}' >"$dir/daemon.json"
    (echo -1 >/proc/self/oom_score_adj) 2>/dev/null || lesser_runtime
    containerd --config "$dir/containerd.toml" --log-level warn >"$dir/containerd.log" 2>&1 &
    wait_for "$dir/c.sock" $! "$dir/containerd.log" test -S "$dir/c.sock"
    dockerd --config-file "$dir/daemon.json" --containerd "$dir/c.sock" \
        --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/dockerd.pid" \
        --host "unix://$dir/d.sock" --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$group" \
        --log-level warn >"$dir/dockerd.log" 2>&1 &
    wait_for "the engine" $! "$dir/dockerd.log" docker_answers "$dir/d.sock"

    export DOCKER_HOST="unix://$dir/d.sock" CASTELLAN_TEST_ENGINE="unix://$dir/d.sock"
    export CASTELLAN_TEST_CGROUP="/$group" TMPDIR="$dir/tmp" GOPROXY=off GOTOOLCHAIN=local
    local code=0
    "$@" || code=$?
    exit $code
}

# lesser_runtime is for a machine that has no CAP_SYS_RESOURCE itself, as a container may not: it takes out of a
# container what only that could grant, so that a privileged one starts at all. What was asked for, the engine still shows.
lesser_runtime() {
    say "this machine lacks CAP_SYS_RESOURCE: privileged containers run without it, and with an OOM score of 0 or more"
    cat >"$dir/runc" <<-'SH'
		#!/bin/sh
		bundle=
		for word; do
		    if [ "$last" = --bundle ]; then bundle=$word; fi
		    last=$word
		done
		if [ -n "$bundle" ]; then
		    sed -i -E 's/"CAP_SYS_RESOURCE",|,"CAP_SYS_RESOURCE"//g; s/"oomScoreAdj":-[0-9]+/"oomScoreAdj":0/' "$bundle/config.json" || exit 1
		fi
		exec runc "$@"
	SH
    chmod +x "$dir/runc"
    echo "{\"runtimes\": {\"lesser\": {\"path\": \"$dir/runc\"}}, \"default-runtime\": \"lesser\"}" >"$dir/daemon.json"
}

# nest_cgroup2 does what a container with control groups of version 2 needs before it can run containers: a group
# that hands controllers to its children may not hold processes itself. The root group of a host is exempt.
nest_cgroup2() {
    local root=/sys/fs/cgroup
    [ -f $root/cgroup.controllers ] && [ -f $root/cgroup.type ] || return 0
    mkdir -p $root/init
    local pid
    for pid in $(cat $root/cgroup.procs); do echo "$pid" >$root/init/cgroup.procs 2>/dev/null || true; done
    sed -e 's/ / +/g' -e 's/^/+/' <$root/cgroup.controllers >$root/cgroup.subtree_control 2>/dev/null || true
}

docker_answers() { # the socket alone is there before the engine listens for real
    curl -fsS --max-time 2 --unix-socket "$1" http://engine/_ping >/dev/null 2>&1
}

wait_for() { # NAME PID LOG TEST…
    local name=$1 pid=$2 log=$3 end=$((SECONDS + ready_within))
    shift 3
    until "$@"; do
        if ! kill -0 "$pid" 2>/dev/null || [ $SECONDS -ge $end ]; then
            say "$name did not start within $ready_within s; the end of its log:"
            tail -n 30 "$log" >&2
            exit 1
        fi
        sleep 0.02
    done
}

if [ "${1:-}" = --inside ]; then
    shift
    inside "$@"
else
    outside "$@"
fi
