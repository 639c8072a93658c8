#!/bin/sh
# Stands in front of the program once per rank: finds which rank this is from what the launcher left
# in the environment, limits it to its GPUs, then becomes the program. The mask must be there before
# MPI or CUDA start. Nothing is guessed: a rank that does not know its place ends with exit code 5.

fail() { echo "rank.sh on $(uname -n): $1" >&2; exit 5; }
set -f  # lists are split into words below, never into file names

# "4(x2),1": four tasks on each of two nodes, one on the third; prints those of node number $1.
tasks_on_node() {
  node=$1
  for part in $(echo "$2" | tr ',' ' '); do
    times=1
    case $part in *'(x'*) times=${part#*'(x'} times=${times%')'} ;; esac
    if [ "$node" -lt "$times" ]; then echo "${part%%'('*}"; return; fi
    node=$((node - times))
  done
}

asked_nodes=${HPCTRAIN_NODES:-}
asked_per_node=${HPCTRAIN_RANKS_PER_NODE:-}
asked_size=
[ -z "$asked_nodes" ] || [ -z "$asked_per_node" ] || asked_size=$((asked_nodes * asked_per_node))

# Innermost launcher first: under sbatch, mpirun's ranks see SLURM_PROCID=0 too, and modules or
# login profiles may have set plain RANK and WORLD_SIZE.
if [ "${HPCTRAIN_LAUNCHER:-}" = none ]; then
  by='no launcher' rank=0 size=1 local_rank=0 local_size=1
elif [ -n "${TORCHELASTIC_RUN_ID:-}" ]; then
  # its agents were themselves started by a launcher, whose variables count nodes and not ranks
  by=torchrun rank=${RANK:-} size=${WORLD_SIZE:-}
  local_rank=${LOCAL_RANK:-} local_size=${LOCAL_WORLD_SIZE:-}
elif [ -n "${OMPI_COMM_WORLD_RANK:-}" ]; then
  by='Open MPI' rank=$OMPI_COMM_WORLD_RANK size=${OMPI_COMM_WORLD_SIZE:-}
  local_rank=${OMPI_COMM_WORLD_LOCAL_RANK:-} local_size=${OMPI_COMM_WORLD_LOCAL_SIZE:-}
elif [ -n "${MV2_COMM_WORLD_RANK:-}" ]; then
  by=MVAPICH2 rank=$MV2_COMM_WORLD_RANK size=${MV2_COMM_WORLD_SIZE:-}
  local_rank=${MV2_COMM_WORLD_LOCAL_RANK:-} local_size=${MV2_COMM_WORLD_LOCAL_SIZE:-}
elif [ -n "${PALS_RANKID:-}${PMI_RANK:+${PMI_LOCAL_RANK:-}}" ]; then
  # with --pmi=pmix PALS tells no size; it started as many as the run script asked for
  by=PALS rank=${PMI_RANK:-${PALS_RANKID:-}} size=${PMI_SIZE:-$asked_size}
  local_rank=${PMI_LOCAL_RANK:-${PALS_LOCAL_RANKID:-}} local_size=${PMI_LOCAL_SIZE:-${PALS_LOCAL_SIZE:-}}
elif [ -n "${MPI_LOCALRANKID:-}" ]; then
  by='Hydra (MPICH, Intel MPI)' rank=${PMI_RANK:-${PMI_ID:-}} size=${PMI_SIZE:-}
  local_rank=$MPI_LOCALRANKID local_size=${MPI_LOCALNRANKS:-}
elif [ -n "${JSM_NAMESPACE_RANK:-}" ]; then
  by=jsrun rank=$JSM_NAMESPACE_RANK size=${JSM_NAMESPACE_SIZE:-}
  local_rank=${JSM_NAMESPACE_LOCAL_RANK:-} local_size=$asked_per_node
elif [ -n "${SLURM_STEP_NUM_TASKS:-}" ]; then
  # only a step has SLURM_STEP_NUM_TASKS; the batch shell has SLURM_PROCID=0 and is no rank
  by=srun rank=${SLURM_PROCID:-} size=$SLURM_STEP_NUM_TASKS local_rank=${SLURM_LOCALID:-}
  local_size=$(tasks_on_node "${SLURM_NODEID:-0}" "${SLURM_STEP_TASKS_PER_NODE:-}")
elif [ -n "${MASTER_ADDR:+${MASTER_PORT:+${LOCAL_RANK:+${LOCAL_WORLD_SIZE:-}}}}" ]; then
  by=torchrun rank=${RANK:-} size=${WORLD_SIZE:-}
  local_rank=${LOCAL_RANK:-} local_size=${LOCAL_WORLD_SIZE:-}
elif [ -n "${ALPS_APP_PE:-}" ]; then
  # aprun fills node after node, unless told otherwise, with the -N ranks the run script gave it
  [ "${MPICH_RANK_REORDER_METHOD:-1}" = 1 ] || fail "MPICH_RANK_REORDER_METHOD=$MPICH_RANK_REORDER_METHOD hides the local rank; unset it"
  [ -n "$asked_size" ] || fail "aprun tells no local rank, and HPCTRAIN_NODES or HPCTRAIN_RANKS_PER_NODE is missing; start through the run script"
  by=aprun rank=$ALPS_APP_PE size=$asked_size
  local_rank=$((ALPS_APP_PE % asked_per_node)) local_size=$asked_per_node
else
  fail "no launcher known by its variables started this process; start it through the run script, or set HPCTRAIN_LAUNCHER=none for one rank alone"
fi

for pair in "rank:$rank" "number of ranks:$size" "local rank:$local_rank" "number of local ranks:$local_size"; do
  case ${pair#*:} in
    '') fail "$by tells no ${pair%%:*}; check that the launcher and the program belong to the same MPI" ;;
    *[!0-9]*) fail "$by tells '${pair#*:}' as ${pair%%:*}, which is no number" ;;
  esac
done
[ "$rank" -lt "$size" ] || fail "$by tells rank $rank of $size"
[ "$local_rank" -lt "$local_size" ] || fail "$by tells local rank $local_rank of $local_size"

export HPCTRAIN_RANK="$rank" HPCTRAIN_WORLD_SIZE="$size"
export HPCTRAIN_LOCAL_RANK="$local_rank" HPCTRAIN_LOCAL_SIZE="$local_size"
export RANK="$rank" WORLD_SIZE="$size" LOCAL_RANK="$local_rank" LOCAL_WORLD_SIZE="$local_size"

# Devices of this rank: 1 of the node's; the order is a fact of the machine.
each=1
order=''
all=$(i=0; while [ "$i" -lt $((local_size * each)) ]; do printf '%s ' "$i"; i=$((i + 1)); done)
nth() { shift "$1"; echo "$2"; }  # nth K WORD...: word number K, counted from 0

if [ -z "${CUDA_VISIBLE_DEVICES+set}" ]; then
  visible=$all
elif [ "$CUDA_VISIBLE_DEVICES" = NoDevFiles ]; then
  fail "Slurm gave this job no GPU (CUDA_VISIBLE_DEVICES=NoDevFiles), and each rank needs 1; check directives.gpus of the site, which asks for them"
else
  visible=$(echo "$CUDA_VISIBLE_DEVICES" | tr ',' ' ')
fi
# shellcheck disable=SC2086 # all lists are split on purpose
count() { set -- $1; echo $#; }
have=$(count "$visible")
if [ "$have" -eq "$each" ]; then
  mask=$(echo "$visible" | tr -s ' ' ',')  # already limited to this rank's own
else
  [ $(((local_rank + 1) * each)) -le "$have" ] || fail "local rank $local_rank needs GPU $((local_rank * each + 1)) to $(((local_rank + 1) * each)) of this node, and CUDA_VISIBLE_DEVICES shows $have ('$visible'); lower ranks_per_node or gpus_per_rank"
  [ "$(count "$order")" -eq "$have" ] || order=  # another number of devices: the order says nothing
  mask=
  i=$((local_rank * each))
  while [ "$i" -lt $(((local_rank + 1) * each)) ]; do
    place=$i
    # shellcheck disable=SC2086 # split on purpose
    [ -z "$order" ] || place=$(nth "$i" $order)
    # shellcheck disable=SC2086 # split on purpose
    mask=$mask${mask:+,}$(nth "$place" $visible)
    i=$((i + 1))
  done
fi
export CUDA_VISIBLE_DEVICES="$mask"

trap '' USR1  # until the trainer listens to it; Python's own handler replaces this
exec "$@"
