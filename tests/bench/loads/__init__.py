"""What make-loads is made of. Uses tests/qemu's harness, which make-loads puts on the module path."""
