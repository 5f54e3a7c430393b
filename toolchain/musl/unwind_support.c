// What Debian's libgcc_eh.a, which was built against glibc, wants of the C library
// and musl does not give it. The compiler's specs link this into every program.

#define _GNU_SOURCE
#include <link.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

// struct dl_find_object of glibc 2.35 and later (dlfcn/dlfcn.h).
struct dl_find_object {
  unsigned long long flags;
  void *map_start;
  void *map_end;
  struct link_map *link_map;
  void *eh_frame;
  unsigned long long reserved[7];
};
_Static_assert(offsetof(struct dl_find_object, eh_frame) == 32, "glibc's layout");

struct search {
  uintptr_t pc;
  struct dl_find_object *result;
};

static int look_in_object(struct dl_phdr_info *info, size_t size, void *argument) {
  (void)size;
  const struct search *search = argument;
  uintptr_t start = UINTPTR_MAX, end = 0, eh_frame = 0;
  int hit = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *header = &info->dlpi_phdr[i];
    uintptr_t address = info->dlpi_addr + header->p_vaddr;
    if (header->p_type == PT_GNU_EH_FRAME) eh_frame = address;
    if (header->p_type != PT_LOAD) continue;
    if (address < start) start = address;
    if (address + header->p_memsz > end) end = address + header->p_memsz;
    if (search->pc >= address && search->pc - address < header->p_memsz) hit = 1;
  }
  if (!hit || !eh_frame) return 0;
  *search->result = (struct dl_find_object){
      .map_start = (void *)start, .map_end = (void *)end, .eh_frame = (void *)eh_frame};
  return 1;
}

// glibc's _dl_find_object, which libgcc_eh calls for each frame it unwinds.
int _dl_find_object(void *pc, struct dl_find_object *result) {
  struct search search = {(uintptr_t)pc, result};
  return dl_iterate_phdr(look_in_object, &search) ? 0 : -1;
}

// gcc 12's libgcc_eh refers to these weakly, and takes the presence of one for the
// presence of all. In a static program each is present only if something pulls its
// archive member in; with pthread_once missing, the first throw jumps to address 0.
static void *const strong_references[] __attribute__((used)) = {
    (void *)pthread_once,        (void *)pthread_key_create,  (void *)pthread_getspecific,
    (void *)pthread_setspecific, (void *)pthread_mutex_lock, (void *)pthread_mutex_unlock};
