#!/usr/bin/env bash
# A real Slurm cluster of two nodes on this machine, for as long as standard input stays open.
#
#   cluster.sh netns   ht01 and ht02 have a network and a host name each; needs CAP_SYS_ADMIN
#   cluster.sh multi   two slurmd on this host, told apart by their ports; for plain containers
#   cluster.sh auto    netns where that works, else multi
#
# Prints the mode and the path of slurm.conf when jobs can be submitted. At the end of standard
# input nothing is left: no process, no interface, no file. Needs root and Debian's packages
# (install.sh). In netns all processes live in a process namespace that ends as a whole, and the
# interfaces go with their network namespaces; nothing outside is changed but one interface there.
set -u -o pipefail
mode=${1:-auto} dir=${2:-}
die() {
  echo "cluster.sh: $1" >&2
  for log in "$dir"/log/*; do [ ! -s "$log" ] || tail -n 8 "$log" | sed "s|^|${log##*/}: |" >&2; done
  exit 1
}
wait_for() { # wait_for SECONDS COMMAND...
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}
export PATH="$PATH:/usr/sbin:/sbin"
spaces=(--fork --kill-child --pid --mount-proc --mount --uts --net)

# ---- outside: choose the mode, make the folder, take it away at the end -------------------------
if [ -z "$dir" ]; then
  if [ "$mode" = auto ]; then
    mode=multi
    ! unshare "${spaces[@]}" ip link add probe type bridge 2>/dev/null || mode=netns
  fi
  dir=$(mktemp -d "${TMPDIR:-/tmp}/hpctrain-slurm-XXXXXX") || exit 1
  trap 'rm -rf "$dir"' EXIT
  chmod 755 "$dir" # users read slurm.conf and meet munge there; its key is closed by its own mode
  mkdir "$dir"/{local,log,spool,state}
  if [ "$mode" = netns ]; then
    exec 9</proc/self/ns/net # so that the inside can lay a cable to this network
    unshare "${spaces[@]}" bash "$0" netns "$dir"
  else
    bash "$0" multi "$dir"
  fi
  exit
fi

# ---- the nodes' names, addresses and ports ------------------------------------------------------
is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
if [ "$mode" = netns ]; then
  # of the range for benchmarks (RFC 2544); one that no other cluster on this machine has
  third=$((RANDOM % 256))
  while nsenter --net=/proc/self/fd/9 ip -4 addr | grep -qF " 198.18.$third."; do
    third=$((RANDOM % 256))
  done
  net=198.18.$third
  head="hthead" head_address="$net.1" head_port=6817
  nodes="NodeName=ht01 NodeAddr=$net.11 Port=6818
NodeName=ht02 NodeAddr=$net.12 Port=6818"
else
  head_port=$((20000 + RANDOM % 10000))
  while is_taken $head_port || is_taken $((head_port + 1)) || is_taken $((head_port + 2)); do
    head_port=$((20000 + RANDOM % 10000))
  done
  head=$(uname -n)
  head=${head%%.*} head_address=127.0.0.1
  nodes="NodeName=ht01 NodeAddr=127.0.0.1 NodeHostname=$head Port=$((head_port + 1))
NodeName=ht02 NodeAddr=127.0.0.1 NodeHostname=$head Port=$((head_port + 2))"
fi

# ---- configuration ------------------------------------------------------------------------------
devices=(null zero full random) # Slurm wants some to hand out, and touches none
for i in {0..7}; do ln -s "/dev/${devices[i % 4]}" "$dir/gpu$i"; done
echo "Name=gpu File=$dir/gpu[0-7]" >"$dir/gres.conf"
: >"$dir/cgroup.conf"
# PMIx of two nodes cannot work in one folder; in netns each node has its own at this place
[ "$mode" != netns ] || echo "PMIxCliTmpDirBase=$dir/local" >"$dir/mpi.conf"
sed -e "s|@DIR@|$dir|g" -e "s|@HEAD@|$head($head_address)|" -e "s|@PORT@|$head_port|" \
  "$(dirname "$0")/slurm.conf" >"$dir/slurm.conf"
while read -r node; do
  echo "$node CPUs=128 RealMemory=64000 Gres=gpu:8 Feature=gpu,cpu"
done <<<"$nodes" >>"$dir/slurm.conf"
export SLURM_CONF="$dir/slurm.conf"

# ---- network, only in netns ---------------------------------------------------------------------
outside() { nsenter --net=/proc/self/fd/9 ip "$@"; }
lay_cables() {
  ip link set lo up && ip link add bridge type bridge && ip addr add "$net.1/24" dev bridge &&
    ip link set bridge up && outside link add "ht$third" type veth peer name outside netns 1 &&
    outside addr add "$net.254/24" dev "ht$third" && outside link set "ht$third" up &&
    ip link set outside master bridge up
}
connect() { # connect NODE PID ADDRESS: its own eth0, once it has its own network
  wait_for 5 has_own_network "$2" && ip link add "$1" type veth peer name eth0 netns "$2" &&
    ip link set "$1" master bridge up && nsenter --net="/proc/$2/ns/net" ip link set lo up &&
    nsenter --net="/proc/$2/ns/net" ip addr add "$3/24" dev eth0 &&
    nsenter --net="/proc/$2/ns/net" ip link set eth0 up
}
# shellcheck disable=SC2329 # wait_for calls it
has_own_network() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/1/ns/net)" ]; }
if [ "$mode" = netns ]; then
  [ $$ = 1 ] || die "netns is not alone in its process namespace"
  hostname "$head"
  printf '%s\n' '127.0.0.1 localhost' "$net.1 $head" "$net.11 ht01" "$net.12 ht02" >"$dir/hosts"
  mount --bind "$dir/hosts" /etc/hosts || die "cannot place a file of hosts"
  lay_cables || die "no network"
fi

# ---- daemons ------------------------------------------------------------------------------------
pids=()
daemon() { # daemon LOG COMMAND...
  local log=$dir/log/$1
  shift
  "$@" </dev/null >"$log" 2>&1 9<&- &
  pids+=($!)
}
# shellcheck disable=SC2329 # the trap calls it
down() { # netns needs none of it: the kernel ends all that lives beside process 1
  for id in $(squeue -h -o %A); do # of whatever user
    scancel --signal=KILL --full "$id" 2>/dev/null
    scancel "$id" 2>/dev/null
  done
  wait_for 15 sh -c '! squeue -h -o %i | grep -q .'
  kill "${pids[@]}" 2>/dev/null
  wait
}
[ "$mode" = netns ] || trap down EXIT

head -c 1024 /dev/urandom >"$dir/munge.key"
chmod 600 "$dir/munge.key"
daemon munged munged --foreground --force --key-file="$dir/munge.key" --socket="$dir/munge" \
  --pid-file="$dir/munged.pid" --seed-file="$dir/munged.seed" --log-file="$dir/log/munge.log"
wait_for 10 munge -S "$dir/munge" -n || die "munged did not come up"
daemon slurmctld slurmctld -D -f "$SLURM_CONF"
for i in 1 2; do
  mkdir "$dir/spool/ht0$i"
  if [ "$mode" = netns ]; then
    mkdir "$dir/spool/ht0$i.local"
    # shellcheck disable=SC2016 # the inner shell expands it
    daemon "slurmd$i" unshare --net --uts --mount bash -c '
      hostname "$1"
      mount --bind "$2/spool/$1.local" "$2/local"
      until ip addr show dev eth0 up | grep -q inet; do sleep 0.05; done
      exec slurmd -D -N "$1" -f "$SLURM_CONF"' _ "ht0$i" "$dir"
    connect "ht0$i" "${pids[-1]}" "$net.1$i" || die "no network for ht0$i"
  else
    daemon "slurmd$i" slurmd -D -N "ht0$i" -f "$SLURM_CONF"
  fi
done
# shellcheck disable=SC2329 # wait_for calls it
are_idle() { [ "$(timeout 5 sinfo -h -N -p regular -t idle -o %N | wc -l)" = 2 ]; }
wait_for 30 are_idle || die "the nodes are not idle"
echo "$mode $SLURM_CONF"
cat >/dev/null
exit 0 # not `exec cat`: the trap must run, and process 1 must reap
