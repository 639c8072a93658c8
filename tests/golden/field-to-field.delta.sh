#!/bin/bash -l
#SBATCH --job-name=field-to-field
#SBATCH --account=Project1
#SBATCH --partition=gpuA100x4
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=4
#SBATCH --time=00:30:00
#SBATCH --output=/home/user/jobs/field-to-field/logs/%j.out
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120

# field-to-field: 2 x 4 ranks on Delta, NCSA
# Written by hpctrain 0.0.0; plain bash, edit what you need. To end the training early so
# that it can go on later, create a file STOP in this folder.

run=/home/user/jobs/field-to-field
cd "$run" || exit 5
mkdir -p logs
job_id="${SLURM_JOB_ID:-$$}"
# in an array that may be the id of all elements
[ -z "${SLURM_ARRAY_TASK_ID:-}" ] || job_id="${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
deadline="${SLURM_JOB_END_TIME:-$(($(date +%s) + 1800))}"

# A file STOP that an earlier start has obeyed is taken away by the trainer, once it knows that no
# other start is at work here, and if nobody made it anew.
stop_time() { stat -c %.9Y STOP 2>/dev/null; }
HPCTRAIN_OLD_STOP=$(stop_time)
export HPCTRAIN_OLD_STOP

# What every rank finds in its environment; rank.sh adds which rank it is.
export HPCTRAIN_JOB_ID="$job_id" HPCTRAIN_DEADLINE="$deadline"
export HPCTRAIN_NODES=2 HPCTRAIN_RANKS_PER_NODE=4
HPCTRAIN_LAUNCH_ID="$(date -u +%Y%m%dT%H%M%S)-$job_id"
HPCTRAIN_TERMINAL=0
[ ! -t 1 ] || HPCTRAIN_TERMINAL=1  # a rank cannot tell: Open MPI gives it a terminal of its own
export HPCTRAIN_LAUNCH_ID HPCTRAIN_TERMINAL
unset HPCTRAIN_LAUNCHER
export OMP_NUM_THREADS=8
export PYTHONPATH="$run/code${PYTHONPATH:+:$PYTHONPATH}"
# Gradients come in buckets already; Horovod would only copy them once more to fuse them.
export HOROVOD_FUSION_THRESHOLD="${HOROVOD_FUSION_THRESHOLD:-0}"

# state.json is rank 0's; the script only notes what rank 0 cannot say of itself.
note() {
  grep -qE "$1" state.json || return 0
  { sed -E "s/$1/$2/" state.json >state.json.new && mv state.json.new state.json; } 2>/dev/null ||
    rm -f state.json.new  # a full disk; the trainer says so
}
note '"status": "(rendered|stopped|failed)"' '"status": "starting"'
note '^ "(message|exit_code)":' ' "previous_\1":'
is_other_at_work() {  # another start trains here, and this one is refused
  grep -q '"status": "running"' state.json &&
    grep '"launch_id"' state.json | grep -qvF "\"$HPCTRAIN_LAUNCH_ID\""
}
failed() {
  told=${3:+$(printf ',\\n "message": "%s"' "$3")}
  is_other_at_work ||
    note '"status": "(starting|running)"' '"status": "failed",\n "exit_code": '"$1$told"
  echo "field-to-field: failed with exit code $1${2:+: $2}" >&2
}

# A warning asks the trainer to save and leave; a second one ends it at once. Users, schedulers and
# the timer send the same signals: that the time is up is believed only where the clock agrees.
pid='' ended_by='' interrupted=''
# shellcheck disable=SC2329 # the traps call it
stop() {
  interrupted=yes
  if [ -n "$ended_by" ]; then
    [ "$1" = USR1 ] || [ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null
    return
  fi
  ended_by="signal $1" early=5
  [ "$1" != USR1 ] || early=195
  [ "$(date +%s)" -lt $((deadline - early)) ] || ended_by='time'
  case $(stop_time) in
    '' | "$HPCTRAIN_OLD_STOP") is_other_at_work || echo "$ended_by" >STOP ;;
  esac
  [ -z "$pid" ] || kill -USR1 "$pid" 2>/dev/null  # the launcher hands it on, faster than the file
}
trap 'stop USR1' USR1
trap 'stop TERM' TERM
trap 'stop INT' INT
trap 'stop HUP' HUP

# What the launcher says is kept, because only it can name a rank that was killed.
words_file="logs/launcher-$HPCTRAIN_LAUNCH_ID.err"
: >"$words_file"  # at its end this script asks for it, and what fills it may be late
if ! command -v srun >/dev/null; then
  failed 5 "no srun in PATH; load the module or install the MPI that has it"
  exit 5
fi
command=(
  srun --nodes=2 --ntasks=8 --ntasks-per-node=4 --cpus-per-task=8 --export=ALL
  --kill-on-bad-exit=0 --wait=30 --gpu-bind=none
  /bin/sh "$run/rank.sh"
  /home/user/venv/bin/python -m hpctrain.train "$run"
)
trap '' USR1  # the launcher begins so, or a warning before it listens would kill it
"${command[@]}" </dev/null 2> >(trap '' TERM INT USR1 HUP; exec tee "$words_file" >&2) &
pid=$!
trap 'stop USR1' USR1

# Asks for a checkpoint 120 s before the time is up, and ends what hangs before the scheduler does.
# It reads from this script, so that it ends with it, whatever kills it.
exec {timer}> >(
  trap '' USR1 INT HUP
  for signal in "USR1 120" "TERM 30"; do
    left=$((deadline - ${signal#* } - $(date +%s)))
    read -rt "$((left > 0 ? left : 1))" _ && exit
    [ $? -gt 128 ] || exit  # not the time, but the end of this script
    kill "-${signal% *}" $$
  done >/dev/null 2>&1
)

# In the background, because bash runs a trap only between commands; `wait` returns once a signal.
while :; do
  interrupted=''
  wait "$pid"
  code=$?
  [ -z "$interrupted" ] || continue
  kill -0 "$pid" 2>/dev/null || break
  sleep 1  # only halted, for which `set -m` ends a wait, too
done
exec {timer}>&-
# Some launchers know only 0 and 1, and bash's own `wait` errs where a signal meets the end.
if grep -qF "\"$HPCTRAIN_LAUNCH_ID\"" state.json; then
  if grep -q '"status": "finished"' state.json; then
    code=0
  elif grep -q '"status": "stopped"' state.json; then
    code=75
    [ -n "$ended_by" ] || ended_by=$(sed -nE 's/^ "stop_reason": "(.*)",?$/\1/p' state.json)
    [ "$ended_by" != "the deadline" ] || ended_by='time'
  elif [ "$code" = 0 ]; then
    code=1  # Open MPI 5 may say so when it was told to go
  fi
fi
[ "$code" != 75 ] || rm -f STOP
case $code in  # and what launchers said at earlier starts
  0 | 75) find logs -name 'launcher-*.err' ! -samefile "$words_file" -delete 2>/dev/null ;;
esac

case $code in
  0) echo "field-to-field: finished" ;;
  75) echo "field-to-field: saved and stopped; start it again to go on" ;;
  *)
    # the lines in which Open MPI, Slurm, PALS and Hydra name a rank that was killed
    names='process rank|^ *signal [0-9]|(task|rank)s? [0-9]+.*(die|kill|exit|signal)|on signal'
    sleep 1  # what keeps the words may be behind
    words=$(grep -aiE "$names" "$words_file" | head -n 3 | tr '\n' ' ' | tr -cd 'A-Za-z0-9 _.:;,()=+@-')
    failed "$code" '' "${words% }"
    ;;
esac
exit "$code"
