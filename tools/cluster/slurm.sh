#!/bin/bash
# Two machines with Slurm: sbatch tools/cluster/slurm.sh LESSON PRESET, in the project's folder,
# which all machines share. Run `make .venv/ready` once before.
#SBATCH --job-name=gan-lesson
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --time=12:00:00
set -euo pipefail
export PORT=${PORT:-12345} LESSON=${1:-02_dcgan} PRESET=${2:-long}
HOSTS=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | tr '\n' ' ')
export HOSTS

# Each task says which of the workers it is. If one ends, srun ends the others.
srun --kill-on-bad-exit=1 bash -c '
  worker=$(printf "\"%s:$PORT\", " $HOSTS)
  task="{\"type\": \"worker\", \"index\": $SLURM_PROCID}"
  export TF_CONFIG="{\"cluster\": {\"worker\": [${worker%, }]}, \"task\": $task}"
  make run
'
