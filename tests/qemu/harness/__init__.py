"""What `run`, `matrix` and `selftest` share: cells, guests, QEMU and the checks of a dump."""
