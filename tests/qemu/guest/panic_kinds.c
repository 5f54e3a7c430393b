// A kernel module for guests. Loading it makes the kernel panic in the way that `kind` says: bug,
// null or lockup.

#include <linux/bug.h>
#include <linux/errno.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/processor.h>
#include <linux/string.h>

static char* kind = "";
module_param(kind, charp, 0);

static int* nowhere;

// None is inlined: a dump has to show them.
static noinline void dumpwright_bug(void) { BUG(); }

static noinline void dumpwright_null(void) { WRITE_ONCE(*READ_ONCE(nowhere), 1); }

static noinline void dumpwright_lockup(void) {
  preempt_disable();
  for (;;) cpu_relax();
}

static int __init panic_kinds_init(void) {
  if (strcmp(kind, "bug") == 0) dumpwright_bug();
  if (strcmp(kind, "null") == 0) dumpwright_null();
  if (strcmp(kind, "lockup") == 0) dumpwright_lockup();
  return -EINVAL;
}

module_init(panic_kinds_init);
MODULE_DESCRIPTION("panics");
MODULE_LICENSE("Apache-2.0");
