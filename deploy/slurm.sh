#!/usr/bin/env bash
# One model, trained on several machines with a process a GPU: sbatch deploy/slurm.sh pipeline/digits.yaml
# In the repository's root, or a project's, on a file system that the machines share. Submitted again after its time is up,
# or a machine died, it goes on from the last checkpoint.
#SBATCH --job-name=vae
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120
set -euo pipefail
recipe=${1:?a recipe is wanted, such as pipeline/digits.yaml}
name=$(basename "$recipe" .yaml)
data=data/prepared/$name model=models/$name report=reports/$name
processes=${SLURM_GPUS_ON_NODE:-1}
export VAE_THREADS=${VAE_THREADS:-$((${SLURM_CPUS_PER_TASK:-$processes} / processes))}
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1  # else torch 2.13 gives a machine that joins later no address, and all end
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)

[ -f "$data/spec.json" ] || vae-pipeline prepare "$recipe" --out "$data"
srun torchrun --nnodes "$SLURM_JOB_NUM_NODES" --nproc-per-node "$processes" --max-restarts 3 --rdzv-backend c10d \
  --rdzv-endpoint "$first:29500" --rdzv-id "$SLURM_JOB_ID" \
  -m vae_pipeline train "$recipe" --data "$data" --out "$model"
vae-pipeline eval "$recipe" --data "$data" --model "$model" --out "$report"
vae-pipeline export "$recipe" --data "$data" --model "$model" --report "$report" --out "exports/$name"
