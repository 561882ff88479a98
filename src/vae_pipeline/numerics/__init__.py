"""What computing stands on: noise, the optimiser, kernels and the device."""
